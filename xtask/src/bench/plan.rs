//! How much is measured.

use clap::ValueEnum;

/// A part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Section {
    /// CPU and latency of warm requests, and the memory after many of them
    Warm,
    /// Start of a process, and its first response, over TLS
    Start,
    /// Warm requests of a small and a large organization
    Growth,
    /// Bulk uploads
    Bulk,
    /// Sizes of the programs
    Size,
}

/// The numbers of a run. They are chosen for about ten minutes, or one minute, after the build.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// The requests to each process before anything counts.
    pub(super) warm_up: usize,
    /// The requests that a process gets before it is another one's turn.
    pub(super) block: usize,
    /// The turns of each process.
    pub(super) blocks: usize,
    /// The requests after which the memory is read.
    pub(super) memory_requests: usize,
    /// The starts of each variant.
    pub(super) starts: usize,
    /// The uploads of each size.
    pub(super) uploads: usize,
    /// The rows of uploads.
    pub(super) upload_rows: &'static [usize],
    /// The contacts of the large organization.
    pub(super) many_contacts: usize,
}

/// The contacts of the small organization.
pub(super) const FEW_CONTACTS: usize = 1_000;

impl Plan {
    pub(super) const FULL: Self = Self {
        warm_up: 200,
        block: 50,
        blocks: 40,
        memory_requests: 10_000,
        starts: 30,
        uploads: 5,
        upload_rows: &[1_000, 5_000],
        many_contacts: 100_000,
    };

    /// For a look at a change. Its numbers scatter too much to be quoted.
    pub(super) const QUICK: Self = Self {
        warm_up: 50,
        block: 25,
        blocks: 12,
        memory_requests: 0,
        starts: 8,
        uploads: 2,
        upload_rows: &[1_000],
        many_contacts: 10_000,
    };
}
