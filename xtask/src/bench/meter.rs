//! What the kernel knows of a process: its CPU time and its memory. Read from `/proc`, so Linux only.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// A running process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process {
    /// Its id.
    pub(super) id: u32,
}

impl Process {
    /// The time that its living threads were on a processor, to the nanosecond, including the kernel's work for them. A thread
    /// that exits takes its time along: a variant has to keep its threads.
    pub(super) fn cpu_time(self) -> Result<Duration> {
        let threads = format!("/proc/{}/task", self.id);
        let mut total = Duration::ZERO;
        for thread in fs::read_dir(&threads).with_context(|| format!("cannot read {threads}"))? {
            // A thread may exit meanwhile.
            let Ok(schedstat) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
            total += parse_schedstat(&schedstat).with_context(|| format!("{threads}: {schedstat:?}"))?;
        }
        Ok(total)
    }

    /// The most memory that it has had (`VmHWM`), in KiB.
    pub(super) fn peak_memory(self) -> Result<u64> {
        let file = format!("/proc/{}/status", self.id);
        let status = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
        parse_peak_memory(&status).with_context(|| format!("{file} has no VmHWM"))
    }
}

/// The first of the three numbers of a `schedstat` file: nanoseconds on a processor.
fn parse_schedstat(text: &str) -> Option<Duration> {
    let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// The value of the line `VmHWM:      9012 kB`.
fn parse_peak_memory(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_of_schedstat_is_the_time_on_a_processor() {
        assert_eq!(parse_schedstat("2410000 93000 17\n"), Some(Duration::from_micros(2410)));
        assert_eq!(parse_schedstat(""), None);
        assert_eq!(parse_schedstat("x 1 2"), None);
    }

    #[test]
    fn the_peak_of_the_memory_is_found_among_other_lines() {
        let status = "Name:\tf\nVmPeak:\t  20000 kB\nVmHWM:\t    9012 kB\nVmRSS:\t    8000 kB\n";
        assert_eq!(parse_peak_memory(status), Some(9012));
        assert_eq!(parse_peak_memory("Name:\tf\nVmRSS:\t 8000 kB\n"), None);
    }

    #[test]
    fn this_process_has_used_cpu_time_and_memory() {
        let process = Process { id: std::process::id() };
        assert!(process.cpu_time().unwrap() > Duration::ZERO);
        assert!(process.peak_memory().unwrap() > 0);
    }
}
