//! One call of `wasi:http/incoming-handler`, from the request to the call's end.

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::bindings::sync::Proxy;

use crate::session::Session;

/// The answer to a request, and the end of the call that gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, as far as it arrived.
    pub body: Vec<u8>,
    /// True if the body arrived in full.
    pub whole: bool,
    /// Why the call did not return, if it did not. Then the instance must not be called again.
    pub trap: Option<String>,
}

impl Session {
    /// Sends a request to the instance, reads the answer as it arrives, and waits for the call to
    /// end.
    ///
    /// # Errors
    ///
    /// The component exports no handler, or did not answer.
    pub fn request(&mut self, method: &str, path: &str, body: &[u8]) -> anyhow::Result<Answer> {
        let Self { store, instance } = self;
        let proxy = Proxy::new(&mut *store, instance)?;
        let request = hyper::Request::builder().method(method).uri(path).header("host", "test");
        let request = request.body(Full::new(Bytes::copy_from_slice(body)))?;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
        let answer = store.data_mut().http().new_response_outparam(sender)?;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        // A guest's writes block until somebody reads.
        let (received, ended) = std::thread::scope(|scope| {
            let reading = scope.spawn(move || {
                runtime.block_on(async {
                    let response = receiver.await.ok()?.ok()?;
                    let (head, mut body) = response.into_parts();
                    let mut bytes = Vec::new();
                    let whole = loop {
                        match body.frame().await {
                            None => break true,
                            Some(Err(_)) => break false,
                            Some(Ok(frame)) => bytes.extend(frame.data_ref().into_iter().flatten()),
                        }
                    };
                    Some((head.status.as_u16(), bytes, whole))
                })
            });
            let ended = proxy.wasi_http_incoming_handler().call_handle(&mut *store, request, answer);
            // If the call ended without an answer, only dropping the guest's table tells the
            // reader.
            if ended.is_err() {
                store.data_mut().table = wasmtime::component::ResourceTable::new();
            }
            (reading.join(), ended)
        });
        let trap = ended.err().map(|error| format!("{error:?}"));
        let Ok(received) = received else { bail!("the reader panicked") };
        let (status, body, whole) =
            received.with_context(|| format!("{method} {path} was not answered: {trap:?}"))?;
        Ok(Answer { status, body, whole, trap })
    }
}
