//! The SDK's way to the network: [`transport::Client`].

use std::sync::Arc;
use std::time::Duration as StdDuration;

use async_trait::async_trait;
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::{
    AsyncRawResponse, Body, ClientOptions, ExponentialRetryOptions, HttpClient, Request, RetryOptions,
    Transport,
};
use azure_core::time::Duration;
use azure_core::{Error, error::ErrorKind};

use crate::http::is_passing;
use crate::places::transport;

#[async_trait]
impl HttpClient for transport::Client {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let other = |message| Error::with_message(ErrorKind::Other, message);
        let Body::Bytes(body) = request.body() else {
            return Err(other("a body that is a stream"));
        };
        let mut sent =
            ureq::http::Request::builder().method(request.method().as_str()).uri(request.url().as_str());
        for (name, value) in request.headers().iter() {
            sent = sent.header(name.as_str(), value.as_str());
        }
        let sent = sent.body(body.to_vec()).map_err(|e| Error::new(ErrorKind::Other, e))?;
        let answer = self.send(sent).await.map_err(|e| {
            let kind = if is_passing(&e) { ErrorKind::Io } else { ErrorKind::Other };
            Error::new(kind, e)
        })?;
        let (parts, body) = answer.into_parts();
        let mut headers = Headers::new();
        for (name, value) in &parts.headers {
            if let Ok(value) = value.to_str() {
                headers
                    .insert(HeaderName::from(name.as_str().to_owned()), HeaderValue::from(value.to_owned()));
            }
        }
        Ok(AsyncRawResponse::from_bytes(parts.status.as_u16().into(), headers, body))
    }
}

/// Options that send everything through `client`, and again when that may help.
pub(super) fn options(client: transport::Client) -> ClientOptions {
    ClientOptions {
        transport: Some(Transport::new(Arc::new(client))),
        retry: RetryOptions::exponential(ExponentialRetryOptions {
            initial_delay: Duration::milliseconds(250),
            max_retries: 3,
            max_total_elapsed: Duration::try_from(StdDuration::from_mins(1)).unwrap_or(Duration::MINUTE),
            max_delay: Duration::seconds(10),
        }),
        ..ClientOptions::default()
    }
}
