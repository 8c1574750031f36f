//! Servers of this process's own, on loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use crate::failure::Failure;

/// A port that nobody else has.
pub(crate) fn listen() -> Result<(TcpListener, SocketAddr), Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr().map(|address| (listener, address)))
        .map_err(|error| {
            Failure::new(
                format!("there is no free loopback port: {error}"),
                "close other programs and try again",
            )
        })
}

/// Has `converse` hold each connection until this process ends; a thread for each, as there are few and they stay.
pub(crate) fn serve(
    converse: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> Result<SocketAddr, Failure> {
    let (listener, address) = listen()?;
    let converse = Arc::new(converse);
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let converse = Arc::clone(&converse);
            // A connection that breaks is the other side's end.
            thread::spawn(move || drop(connection.set_nodelay(true).and_then(|()| converse(connection))));
        }
    });
    Ok(address)
}
