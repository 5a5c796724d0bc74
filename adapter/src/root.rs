//! The types behind the guest's descriptors and listings: open on a volume, or with mounts of the
//! host on either.

#[cfg(not(feature = "host-mounts"))]
pub(crate) use crate::descriptor::{Listing, Object as Root, failure_code};
#[cfg(feature = "host-mounts")]
pub(crate) use crate::host::{Listing, Object as Root, failure_code};
