//! An invocation of a function, as the Lambda runtime describes it.

use std::time::{Duration, SystemTime};

use lambda_runtime::Context;
use tokio::time::Instant;

use crate::trace::Trace;

/// An invocation of a function.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The time by which the response has to be ready.
    pub deadline: Instant,
    /// Lambda's id of the invocation.
    pub request_id: String,
    /// The trace that the invocation belongs to. The local gateway sends none.
    pub trace: Option<Trace>,
}

impl Invocation {
    /// The invocation of this context, with a deadline of its own.
    pub(crate) fn new(context: Context, deadline: Instant) -> Self {
        let trace = context.xray_trace_id.as_deref().and_then(Trace::parse);
        Self { deadline, request_id: context.request_id, trace }
    }
}

/// The time until a function's deadline, less `reserve`; `None` for a deadline in the past, such as the year 1970 that the
/// local gateway sends.
pub(crate) fn time_left(deadline: SystemTime, reserve: Duration) -> Option<Duration> {
    let left = deadline.duration_since(SystemTime::now()).ok()?.saturating_sub(reserve);
    if left.is_zero() { None } else { Some(left) }
}
