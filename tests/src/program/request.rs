//! One call of `wasi:http/incoming-handler`, from the request to the call's end.

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::bindings::sync::Proxy;

use super::Session;

/// What a request was answered with, and how the call ended that answered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, as far as it came.
    pub body: Vec<u8>,
    /// True if the body came to its end.
    pub whole: bool,
    /// Why the call did not return, if it did not. Then the instance is not to be called again.
    pub trap: Option<String>,
}

impl Session {
    /// Sends a request to the instance, takes the answer while it comes, and waits for the call to end.
    ///
    /// # Errors
    ///
    /// The component exports no handler, or none has answered.
    pub fn request(&mut self, method: &str, path: &str, body: &[u8]) -> anyhow::Result<Answer> {
        let Session { store, instance } = self;
        let proxy = Proxy::new(&mut *store, instance)?;
        let request = hyper::Request::builder().method(method).uri(path).header("host", "test");
        let request = request.body(Full::new(Bytes::copy_from_slice(body)))?;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
        let answer = store.data_mut().http().new_response_outparam(sender)?;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        // A guest that writes waits until somebody reads.
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
            // If nothing was answered, the call's end does not say so to the reader: the guest's table does.
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
