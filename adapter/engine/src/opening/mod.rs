//! Opening volumes.

mod upgrade;
