//! Rate limits in responses: the 429, and the headers `RateLimit-Policy` and `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers-10).
//!
//! A policy's `q` is its burst and `w` the seconds in which the bucket fills, rounded up, so that `q` per `w` is no more
//! than the limit in the long run. `r` is the number of requests that are left, and `t` the seconds until the bucket is
//! full. If nothing is left, `t` is the time until the next request is admitted, as in `Retry-After`.

use chrono::TimeDelta;

use super::error::ApiError;
use super::response::Response;
use crate::rate_limiter::{Admission, Quota};
use crate::repositories::LimitedSubject;

/// Refuses a request that exceeds a limit.
pub(super) fn check(admission: &Admission) -> Result<(), ApiError> {
    match admission.retry_after {
        Some(wait) => Err(ApiError::TooManyRequests { seconds: whole_seconds(wait) }),
        None => Ok(()),
    }
}

/// Adds the quotas of the caller, if it has limits.
pub(super) fn with_quotas(response: Response, quotas: &[Quota]) -> Response {
    if quotas.is_empty() {
        return response;
    }
    let list = |item: fn(&Quota) -> String| quotas.iter().map(item).collect::<Vec<_>>().join(", ");
    response.with("ratelimit-policy", list(policy)).with("ratelimit", list(state))
}

fn policy(quota: &Quota) -> String {
    let (burst, rate) = (quota.limit.burst(), quota.limit.requests_per_second());
    format!("\"{}\";q={burst};w={}", name(quota), burst.div_ceil(rate))
}

fn state(quota: &Quota) -> String {
    format!("\"{}\";r={};t={}", name(quota), quota.remaining, whole_seconds(quota.reset))
}

fn name(quota: &Quota) -> &'static str {
    match quota.subject {
        LimitedSubject::ApiKey(_) => "key",
        LimitedSubject::Organization => "organization",
    }
}

/// Seconds, rounded up.
fn whole_seconds(duration: TimeDelta) -> i64 {
    let seconds = duration.num_seconds();
    if duration > TimeDelta::seconds(seconds) { seconds + 1 } else { seconds }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{ApiKeyId, RateLimit};

    #[test]
    fn a_policy_names_the_seconds_in_which_the_burst_is_regained() {
        for (rate, burst, expected) in
            [(3, None, "\"key\";q=30;w=10"), (10, Some(5), "\"key\";q=5;w=1"), (2, Some(5), "\"key\";q=5;w=3")]
        {
            let limit = RateLimit::new(rate, burst).unwrap();
            let subject = LimitedSubject::ApiKey(ApiKeyId::from(Uuid::nil()));
            let quota = Quota { subject, limit, remaining: 0, reset: TimeDelta::zero() };
            assert_eq!(policy(&quota), expected);
        }
    }

    #[test]
    fn a_part_of_a_second_counts_as_a_whole_one() {
        for (millis, seconds) in [(0, 0), (1, 1), (1_000, 1), (1_001, 2)] {
            assert_eq!(whole_seconds(TimeDelta::milliseconds(millis)), seconds, "{millis} ms");
        }
    }
}
