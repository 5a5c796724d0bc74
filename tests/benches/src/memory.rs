//! What this process takes of the machine's memory, as Linux tells it. Elsewhere nothing is told.

use std::fs;

/// Returns the most memory that this process has had since the last [`forget_peak`].
pub(crate) fn peak_bytes() -> Option<u64> {
    of_status("VmHWM:")
}

/// Returns the memory that this process has now.
pub(crate) fn now_bytes() -> Option<u64> {
    of_status("VmRSS:")
}

/// Makes the peak what there is now. Without the right to, the peak stays that of the whole process.
pub(crate) fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn of_status(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn the_peak_remembers_what_was_freed() {
        super::forget_peak();
        let before = super::peak_bytes().unwrap();
        drop(std::hint::black_box(vec![1_u8; 64 << 20]));
        assert!(super::peak_bytes().unwrap() >= before + (60 << 20));
        assert!(super::now_bytes().unwrap() <= super::peak_bytes().unwrap());
    }
}
