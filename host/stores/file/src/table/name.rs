//! Names of tables.

/// The name of the table with this number.
pub(crate) fn table_name(number: u64) -> String {
    format!("{number:016x}.table")
}
