//! Calls of a store on a server, each made once over connections that break.
//!
//! [`Sessions`] is what the stores on servers share. Each brings a [`Server`]: how it connects, and
//! what a call is in its protocol.
//!
//! # Applies
//! Each apply has a number. The server keeps the number of the session's last apply beside the
//! store, and changes it together with what the apply changes, from the number before to this one.
//! Whoever looks at it knows whether the apply was made. If it was not, the number is burned: moved
//! on without a change, so that an apply that is still under way to the server changes nothing. Then
//! it is sent again with another number.
//!
//! # Reads
//! They are repeated on a new connection. No read is answered before the fate of each apply is known
//! whose caller was told that it is not.
//!
//! # Servers that crash
//! A server may lose what it acknowledged as buffered. Its session is then at an older number, which
//! each new connection checks: every further call fails, because what the caller read may be gone.

mod asked;
mod backoff;
mod batch;
mod failure;

mod server;

mod attempts;

mod connect;

mod reading;
mod writing;

mod sessions;

pub use asked::Asked;
pub use batch::Batch;
pub use failure::Failure;
pub use server::{Fate, Outcome, Question, Role, Server};
pub use sessions::Sessions;
