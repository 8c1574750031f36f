//! `MAX_CONNECTION_SECONDS`: ends WebSocket connections and streams; and which responses can be rebuilt.

use futures_util::{StreamExt as _, future};
use js_sys::{Function, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{AbortSignal, ReadableStream, Response, ResponseInit, StreamPipeOptions, WritableStream};
use worker::worker_sys::WebSocketPair;
use worker::{WebSocket, WebsocketEvent};

use crate::runtime::{self, is_nullish, property};

/// Close codes that mean "no code" and "no close frame", and cannot be sent (RFC 6455, section 7.4.1).
const NOT_SENT: [u16; 2] = [1005, 1006];
/// "Try again later": the next connection is checked again.
const TRY_AGAIN: u16 = 1013;
const REASON: &str = "MAX_CONNECTION_SECONDS elapsed; connect again";
/// "Internal error": a message could not be relayed.
const FAILED: u16 = 1011;

/// Limits how long the WebSocket or the body of a response stays open. A body of known length ends by itself.
///
/// # Errors
/// The exception of the runtime, if the response cannot be rebuilt.
pub(crate) fn ended_after(secs: u32, response: Response) -> Result<Response, JsValue> {
    if let Some(socket) = web_socket(&response) {
        return relayed(secs, &response, socket);
    }
    let Some(body) = response.body() else {
        return Ok(response);
    };
    if response.headers().has("content-length")? || !is_rebuildable(&response) {
        return Ok(response);
    }
    let stream = property(&js_sys::global(), "IdentityTransformStream").unchecked_into::<Function>();
    let stream = Reflect::construct(&stream, &js_sys::Array::new())?;
    let readable = property(&stream, "readable").unchecked_into::<ReadableStream>();
    let writable = property(&stream, "writable").unchecked_into::<WritableStream>();
    // Clients resume event streams; of any other body the client must see that it is incomplete.
    let content_type = response.headers().get("content-type")?.unwrap_or_default();
    let is_events = content_type.to_ascii_lowercase().starts_with("text/event-stream");
    let options = StreamPipeOptions::new();
    options.set_signal(&AbortSignal::timeout_with_u32(secs.saturating_mul(1000)));
    options.set_prevent_abort(is_events);
    let piped = JsFuture::from(body.pipe_to_with_options(&writable, &options));
    spawn_local(async move {
        if piped.await.is_err() && is_events {
            // It is closed already if the client has disconnected.
            drop(JsFuture::from(writable.close()).await);
        }
    });
    Response::new_with_opt_readable_stream_and_init(Some(&readable), response.unchecked_ref::<ResponseInit>())
}

/// Relays the messages of a WebSocket, because the runtime's own relay cannot be ended.
fn relayed(secs: u32, response: &Response, origin: web_sys::WebSocket) -> Result<Response, JsValue> {
    let mut pair = WebSocketPair::new()?;
    let (client, gate) = (pair.client()?, pair.server()?);
    for socket in [&origin, &gate] {
        socket.set_binary_type(web_sys::BinaryType::Arraybuffer);
    }
    let (origin, gate) = (WebSocket::from(origin), WebSocket::from(gate));
    spawn_local(async move {
        let relay = future::join(pass(&origin, &gate), pass(&gate, &origin));
        if runtime::within(secs.saturating_mul(1000), relay).await.is_none() {
            for socket in [&origin, &gate] {
                close(socket, TRY_AGAIN, REASON);
            }
        }
    });
    let init = ResponseInit::new();
    init.set_status(101);
    init.set_headers(&response.headers());
    Reflect::set(&init, &"webSocket".into(), &client)?;
    Response::new_with_opt_str_and_init(None, &init)
}

/// Relays messages until one side closes.
async fn pass(from: &WebSocket, to: &WebSocket) {
    let (Ok(mut events), Ok(())) = (from.events(), from.accept()) else {
        return close(to, FAILED, "");
    };
    while let Some(event) = events.next().await {
        match event {
            Ok(WebsocketEvent::Message(message)) => {
                let sent = match (message.text(), message.bytes()) {
                    (Some(text), _) => to.send_with_str(text),
                    (None, Some(bytes)) => to.send_with_bytes(bytes),
                    (None, None) => Ok(()),
                };
                if sent.is_err() {
                    return close(from, FAILED, "");
                }
            }
            Ok(WebsocketEvent::Close(closed)) => return close(to, closed.code(), &closed.reason()),
            Err(_) => return close(to, FAILED, ""),
        }
    }
}

fn close(socket: &WebSocket, code: u16, reason: &str) {
    let code = Some(code).filter(|code| !NOT_SENT.contains(code));
    // It may be closed already.
    drop(socket.close(code, code.map(|_| reason)));
}

/// Whether a response can be rebuilt: not a WebSocket, and not a status that the constructor rejects.
pub(crate) fn is_rebuildable(response: &Response) -> bool {
    (200..=599).contains(&response.status()) && web_socket(response).is_none()
}

/// The WebSocket that a response opens.
fn web_socket(response: &Response) -> Option<web_sys::WebSocket> {
    let socket = property(response, "webSocket");
    (!is_nullish(&socket)).then(|| socket.unchecked_into())
}
