//! The SDK's way to the network: [`transport::Client`].

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use crate::http::is_passing;
use crate::places::transport;

/// Makes connectors that share one client.
#[derive(Clone, Debug)]
pub(super) struct Connections(transport::Client);

impl Connections {
    pub(super) fn new() -> Self {
        Self(transport::Client::new())
    }

    #[cfg(test)]
    pub(super) fn of(client: transport::Client) -> Self {
        Self(client)
    }
}

impl HttpClient for Connections {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        // The SDK bounds reading where it looks for a metadata service that may not be there.
        let bound: Option<Duration> = settings
            .read_timeout()
            .map(|read| read.saturating_add(settings.connect_timeout().unwrap_or_default()));
        SharedHttpConnector::new(Connector(self.0.at_most(bound)))
    }
}

#[derive(Debug)]
struct Connector(transport::Client);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            let user = |e| ConnectorError::user(e);
            let (parts, body) = request.try_into_http1x().map_err(|e| user(e.into()))?.into_parts();
            let body = body.bytes().ok_or_else(|| user("a body that is a stream".into()))?.to_vec();
            let request = ureq::http::Request::from_parts(parts, body);
            let answer = client.send(request).await.map_err(|e| match e {
                ureq::Error::Timeout(_) => ConnectorError::timeout(e.into()),
                e if is_passing(&e) => ConnectorError::io(e.into()),
                e => ConnectorError::other(e.into(), None),
            })?;
            HttpResponse::try_from(answer.map(SdkBody::from))
                .map_err(|e| ConnectorError::other(e.into(), None))
        })
    }
}
