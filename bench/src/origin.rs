//! The origin: nginx where it is installed, because its cost is known and small; else one of the bench's own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use keygate_testbed::http::{self, Response};

use crate::process::Running;

/// The path that is answered with [`LARGE`] bytes; all others get a short JSON text.
pub(crate) const LARGE_PATH: &str = "/v1/reports/large";
const LARGE: usize = 1024 * 1024;
const SMALL_BODY: &str = r#"{"id":42,"title":"Quarterly report","rows":[1,2,3,4,5,6,7,8],"complete":true}"#;

/// Its connections outlive the bench: a reconnect would be charged to whom it happens to.
const CONFIG: &str = r"
# One process: it ends with the bench, however the bench ends it.
master_process off;
daemon off;
pid PLACE/nginx.pid;
error_log PLACE/nginx.log;
events { worker_connections 1024; }
http {
    access_log off;
    server_tokens off;
    keepalive_requests 100000000;
    keepalive_timeout 3600;
    large_client_header_buffers 8 32k;
    client_body_temp_path PLACE/nginx-body;
    proxy_temp_path PLACE/nginx-proxy;
    fastcgi_temp_path PLACE/nginx-fastcgi;
    uwsgi_temp_path PLACE/nginx-uwsgi;
    scgi_temp_path PLACE/nginx-scgi;
    default_type application/json;
    server {
        listen 127.0.0.1:PORT;
        location / { return 200 'SMALL'; }
        location = LARGE { alias PLACE/large; }
    }
    server {
        listen 127.0.0.1:STATUS;
        location / { stub_status; }
    }
}
";

pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    /// Names it in the report.
    pub(crate) version: String,
    counter: Counter,
}

enum Counter {
    Nginx {
        /// Where nginx says how many requests it had, this one included.
        status: SocketAddr,
        asked: AtomicU64,
        _process: Running,
    },
    Own(Arc<AtomicU64>),
}

impl Origin {
    pub(crate) fn start(place: &Path) -> Result<Self> {
        let version = Command::new("nginx").arg("-v").stdin(Stdio::null()).output();
        match version {
            // nginx prints its version to standard error.
            Ok(output) => Self::nginx(place, String::from_utf8_lossy(&output.stderr).trim()),
            Err(_) => Self::own(),
        }
    }

    fn nginx(place: &Path, version: &str) -> Result<Self> {
        let [address, status] = [free_address()?, free_address()?];
        let config = CONFIG
            .replace("PORT", &address.port().to_string())
            .replace("STATUS", &status.port().to_string())
            .replace("SMALL", SMALL_BODY)
            .replace("LARGE", LARGE_PATH)
            .replace("PLACE", &place.display().to_string());
        let file = place.join("nginx.conf");
        fs::write(&file, config)?;
        fs::write(place.join("large"), vec![b'x'; LARGE])?;
        let mut command = Command::new("nginx");
        command
            .arg("-p")
            .arg(place)
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Running::start(&mut command)?;
        let origin = Self {
            address,
            version: version.trim_start_matches("nginx version: ").to_owned(),
            counter: Counter::Nginx { status, asked: AtomicU64::new(0), _process: process },
        };
        for _ in 0..100 {
            if TcpStream::connect(status).is_ok() {
                return Ok(origin);
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!(
            "nginx does not start; its log is `{}`; repair nginx, or take it out of PATH",
            place.join("nginx.log").display()
        )
    }

    fn own() -> Result<Self> {
        let requests = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&requests);
        let small: Arc<[u8]> = Arc::from(SMALL_BODY.as_bytes());
        let large: Arc<[u8]> = Arc::from(vec![b'x'; LARGE]);
        let address = http::serve(move |request| {
            counter.fetch_add(1, Ordering::Relaxed);
            Response::ok(Arc::clone(if request.target() == LARGE_PATH { &large } else { &small }))
        })?;
        Ok(Self { address, version: "the bench's own origin".to_owned(), counter: Counter::Own(requests) })
    }

    /// How many requests it had from the contenders so far.
    pub(crate) fn requests(&self) -> Result<u64> {
        match &self.counter {
            Counter::Own(requests) => Ok(requests.load(Ordering::Relaxed)),
            Counter::Nginx { status, asked, .. } => {
                let asked = asked.fetch_add(1, Ordering::Relaxed) + 1;
                let total = stub_status(*status).context(
                    "nginx does not say how many requests it had; install one with stub_status, or take it out of PATH",
                )?;
                Ok(total.saturating_sub(asked))
            }
        }
    }
}

/// The third number of the line below `server accepts handled requests`.
fn stub_status(address: SocketAddr) -> Option<u64> {
    let mut connection = TcpStream::connect(address).ok()?;
    connection.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).ok()?;
    let numbers = answer.lines().skip_while(|line| !line.starts_with("server accepts")).nth(1)?;
    numbers.split_ascii_whitespace().nth(2)?.parse().ok()
}

fn free_address() -> Result<SocketAddr> {
    http::listen().map(|(_, address)| address)
}
