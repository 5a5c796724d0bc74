//! The type behind the guest's descriptors: open on a volume, or with mounts of the host on either.

#[cfg(not(feature = "host-mounts"))]
pub(crate) use crate::descriptor::Object as Root;
#[cfg(feature = "host-mounts")]
pub(crate) use crate::host::Object as Root;
