//! Sends the webhook.

use keygate_core::telemetry::event::without_urls;
use keygate_core::warning::{Answer, Message, Settings};
use worker::{AbortSignal, Fetch, Headers, Method, Request, RequestInit, RequestRedirect, Result};

use crate::runtime;

/// How long the receiver may take to answer.
const ANSWER_MS: u32 = 10_000;

/// What came of it, and the same for the log.
pub(super) async fn post(settings: &Settings, message: &Message) -> (Answer, String) {
    match send(settings, message).await {
        Ok(status) => (Answer::Status(status), format!("the receiver answered {status}")),
        Err(error) => {
            (Answer::Failed, format!("the receiver did not answer: {}", without_urls(&error.to_string())))
        }
    }
}

async fn send(settings: &Settings, message: &Message) -> Result<u16> {
    let headers = Headers::new();
    headers.set("content-type", "application/json")?;
    headers.set("user-agent", "keygate")?;
    for (name, value) in settings.secret.headers(&message.id, &message.body, runtime::now().seconds()) {
        headers.set(name, &value)?;
    }
    let mut init = RequestInit::new();
    init.with_method(Method::Post)
        .with_headers(headers)
        .with_body(Some(message.body.as_str().into()))
        // The signed body is for this receiver alone.
        .with_redirect(RequestRedirect::Manual);
    let request = Request::new_with_init(settings.url.as_str(), &init)?;
    let signal = AbortSignal::from(web_sys::AbortSignal::timeout_with_u32(ANSWER_MS));
    Ok(Fetch::Request(request).send_with_signal(&signal).await?.status_code())
}
