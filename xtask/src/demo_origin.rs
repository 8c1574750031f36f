//! The API that `cargo xtask dev` puts behind the gate: it answers every request with what it saw of it.

use std::net::TcpListener;
use std::thread;

use serde_json::{Map, Value, json};
use tiny_http::{Header, Request, Response, Server};

use crate::failure::Failure;

/// Answers on the listener until the process ends.
pub(crate) fn serve(listener: TcpListener) -> Result<(), Failure> {
    let server = Server::from_listener(listener, None).map_err(|error| {
        Failure::new(format!("the demo origin does not start: {error}"), "run the command again")
    })?;
    thread::spawn(move || {
        for request in server.incoming_requests() {
            let body = seen(&request);
            let response = Response::from_string(format!("{body}\n"));
            let typed = match Header::from_bytes("Content-Type", "application/json") {
                Ok(header) => response.with_header(header),
                Err(()) => response,
            };
            // A client that went away is not the origin's concern.
            drop(request.respond(typed));
        }
    });
    Ok(())
}

/// What shows that the gate did its work: the identity that it added, and that no credential came along.
fn seen(request: &Request) -> Value {
    let identity: Map<String, Value> = request
        .headers()
        .iter()
        .filter(|header| header.field.as_str().as_str().to_ascii_lowercase().starts_with("x-keygate-"))
        .map(|header| (header.field.to_string(), Value::from(header.value.as_str())))
        .collect();
    let credential = request
        .headers()
        .iter()
        .any(|header| header.field.equiv("Authorization") || header.field.equiv("X-API-Key"));
    json!({
        "method": request.method().to_string(),
        "path": request.url(),
        "identity": identity,
        "credential": credential,
    })
}
