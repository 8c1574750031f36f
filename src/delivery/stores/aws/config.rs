//! How AWS's SDK is set up: its own chain of settings and credentials, and its own HTTP client.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector, tls};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use crate::secure_address::may_carry_secrets;

/// For one attempt; the SDK makes three.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// The SDK's own client, with ring and with the proxies of the environment, which its default one has not.
fn http_client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder()
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    })
}

/// AWS's own chain of settings and credentials.
pub(super) fn loader(attempt_timeout: Duration) -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client())
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(attempt_timeout).build())
}

/// Stops a request that would carry a secret in the clear.
#[derive(Debug)]
pub(super) struct OnlyEncrypted;

/// That it did.
#[derive(Debug, thiserror::Error)]
#[error("the endpoint is not https")]
pub(super) struct InTheClear;

#[dyn_dispatch_hint]
impl Intercept for OnlyEncrypted {
    fn name(&self) -> &'static str {
        "OnlyEncrypted"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if may_carry_secrets(context.request().uri()) { Ok(()) } else { Err(InTheClear.into()) }
    }
}
