//! A server of S3's protocol.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use hyper_util::rt::{TokioExecutor, TokioIo};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;

use crate::{Server, answers};

const KEY_ID: &str = "agents";
const KEY: &str = "not-for-anybody";

/// Names the port and the directory that the server's process gets.
const PORT: &str = "KVFS_TEST_S3_PORT";
const ROOT: &str = "KVFS_TEST_S3_ROOT";

/// A server of S3's protocol with an empty bucket `bucket`. It keeps objects as files, and does not
/// ask the disk to keep them.
pub struct S3(Server);

impl S3 {
    /// Starts the server in a process of its own, so that it can be killed: this program again, with
    /// `arguments` by which it comes to [`S3::serve_if_asked`].
    pub fn start(arguments: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("kvfs-s3-").tempdir().expect("a directory");
        std::fs::create_dir_all(directory.path().join("objects/bucket")).expect("a directory");
        let this = std::env::current_exe().expect("this program");
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self(Server::start(
            directory,
            move |port, directory| {
                let mut server = Command::new(&this);
                server.args(&arguments).env(PORT, port.number().to_string());
                server.env(ROOT, directory.join("objects"));
                server
            },
            |address| answers(address, b"GET / HTTP/1.0\r\n\r\n").starts_with(b"HTTP/1"),
        ))
    }

    /// Serves until the process is killed, if [`S3::start`] has started it. Otherwise returns.
    pub fn serve_if_asked() {
        let (Ok(port), Ok(root)) = (std::env::var(PORT), std::env::var(ROOT)) else { return };
        let port: u16 = port.parse().expect("a port");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let files = s3s_fs::FileSystem::new(Path::new(&root)).expect("the directory");
            let mut service = S3ServiceBuilder::new(files);
            service.set_auth(SimpleAuth::from_single(KEY_ID, KEY));
            let service = service.build();
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port");
            loop {
                let (socket, _) = listener.accept().await.expect("a client");
                let _ = socket.set_nodelay(true);
                let service = service.clone();
                tokio::spawn(async move {
                    let http = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = http.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
    }

    /// Returns the settings by which a client finds the server at an address (its own, or that of a
    /// proxy), by their names in the environment.
    pub fn settings(address: SocketAddr) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT", format!("http://{address}")),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", KEY_ID.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", KEY.to_owned()),
        ]
    }

    /// Returns the server's process.
    pub fn server(&mut self) -> &mut Server {
        &mut self.0
    }

    /// Returns the address at which it serves.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }
}
