//! `kvfs:adapter/bridge`: moves the host's handles into and out of our resources, and ends a
//! program.

use crate::adapter::Adapter;
use crate::audit;
use crate::bindings::exports::kvfs::adapter::bridge::{
    Error, ErrorBorrow, Guest, HostError, HostInputStream, HostOutputStream, HostPollable, InputStream,
    InputStreamBorrow, OutputStream, OutputStreamBorrow, Pollable, PollableBorrow,
};
use crate::bindings::exports::kvfs::adapter::lifecycle;
use crate::calls::{InputNode, OutputNode};
use crate::errors::StreamFailure;
use crate::input::Input;
use crate::output::Output;
use crate::poll;
use crate::table;
use std::cell::RefCell;

/// Most characters of a store's message in a line: a stream takes 4,096 bytes at once.
const REASON_CHARS: usize = 500;

/// Takes a handle out of its place. A place that is in use keeps it.
fn take<T>(place: &RefCell<Option<T>>) -> Option<T> {
    place.try_borrow_mut().ok()?.take()
}

/// Puts a handle back, if its place is empty.
fn give_back<T>(place: Option<&RefCell<Option<T>>>, handle: T) {
    if let Some(mut place) = place.and_then(|place| place.try_borrow_mut().ok())
        && place.is_none()
    {
        *place = Some(handle);
    }
}

impl Guest for Adapter {
    fn wrap_error(handle: HostError) -> Error {
        StreamFailure::host(handle)
    }

    fn wrap_pollable(handle: HostPollable) -> Pollable {
        poll::Pollable::host(handle)
    }

    fn wrap_input_stream(handle: HostInputStream) -> InputStream {
        Input::host(handle)
    }

    fn wrap_output_stream(handle: HostOutputStream) -> OutputStream {
        Output::host(handle)
    }

    fn unwrap_error(handle: Error) -> Option<HostError> {
        take(handle.get::<StreamFailure>().place()?)
    }

    fn unwrap_pollable(handle: Pollable) -> Option<HostPollable> {
        take(handle.get::<poll::Pollable>().place()?)
    }

    fn unwrap_input_stream(handle: InputStream) -> Option<HostInputStream> {
        take(handle.get::<InputNode>().own.place()?)
    }

    fn unwrap_output_stream(handle: OutputStream) -> Option<HostOutputStream> {
        take(handle.get::<OutputNode>().own.place()?)
    }

    fn lend_error(handle: ErrorBorrow<'_>) -> Option<HostError> {
        take(handle.get::<StreamFailure>().place()?)
    }

    fn lend_pollable(handle: PollableBorrow<'_>) -> Option<HostPollable> {
        take(handle.get::<poll::Pollable>().place()?)
    }

    fn lend_input_stream(handle: InputStreamBorrow<'_>) -> Option<HostInputStream> {
        take(handle.get::<InputNode>().own.place()?)
    }

    fn lend_output_stream(handle: OutputStreamBorrow<'_>) -> Option<HostOutputStream> {
        take(handle.get::<OutputNode>().own.place()?)
    }

    fn give_back_error(to: ErrorBorrow<'_>, handle: HostError) {
        give_back(to.get::<StreamFailure>().place(), handle);
    }

    fn give_back_pollable(to: PollableBorrow<'_>, handle: HostPollable) {
        give_back(to.get::<poll::Pollable>().place(), handle);
    }

    fn give_back_input_stream(to: InputStreamBorrow<'_>, handle: HostInputStream) {
        give_back(to.get::<InputNode>().own.place(), handle);
    }

    fn give_back_output_stream(to: OutputStreamBorrow<'_>, handle: HostOutputStream) {
        give_back(to.get::<OutputNode>().own.place(), handle);
    }
}

/// Writes a line. The store's message may contain anything, and the stream may be a terminal: shows
/// plain text only.
fn explain(to: &lifecycle::HostOutputStream, what: &str, why: &str) {
    let why = why.chars().map(|char| if char == ' ' || char.is_ascii_graphic() { char } else { '?' });
    let line: String = what.chars().chain(why.take(REASON_CHARS)).chain(['\n']).collect();
    // If this fails, it cannot be reported.
    let _ = to.blocking_write_and_flush(line.as_bytes());
}

impl lifecycle::Guest for Adapter {
    fn commit() -> Result<(), ()> {
        let stored = table::sync_all().map_err(|_| ());
        // Last: the log tells of the commit's failure as of any other, and is durable itself then.
        stored.and(audit::finish())
    }

    fn explain(to: lifecycle::HostOutputStream) {
        if let Some(error) = table::failure() {
            explain(&to, "kvfs: not all that was written could be stored: ", &error.to_string());
        }
        if let Some(why) = audit::failure() {
            explain(&to, "kvfs: the audit log could not be stored: ", &why);
        }
    }
}
