//! What a descriptor that the guest has is open on: a volume, or with mounts of the host one of either.

#[cfg(not(feature = "host-mounts"))]
pub(crate) use crate::descriptor::Object as Root;
#[cfg(feature = "host-mounts")]
pub(crate) use crate::host::Object as Root;
