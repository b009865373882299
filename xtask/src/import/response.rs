//! A response of the API, and whether the request is sent again.

use std::time::Duration;

use serde::Deserialize;
use ureq::Error;

/// The longest pause that the client chooses, and the longest that it lets the API choose.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_mins(5);
/// The most characters of an error that are shown.
pub(super) const MAX_SHOWN: usize = 300;

/// A response.
#[derive(Debug, Clone, Default)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    pub(super) link: Option<String>,
    pub(super) body: String,
    /// The times that the request was sent.
    pub(super) attempts: u32,
}

/// What to do after an attempt.
#[derive(Debug)]
pub(super) enum Verdict {
    /// There is a response to act on.
    Done(Response),
    /// Send the same request again: why, and the pause that the API asks for.
    Again(String, Option<Duration>),
    /// The request will not succeed.
    Failed(String),
}

impl Response {
    /// The error in one line, without control characters.
    pub(super) fn detail(&self) -> String {
        #[derive(Deserialize)]
        struct Detail {
            #[serde(alias = "message")]
            detail: String,
        }
        let detail = serde_json::from_str(&self.body).map_or_else(|_| self.body.clone(), |Detail { detail }| detail);
        one_line(&detail)
    }

    fn retry_after(&self) -> Option<Duration> {
        let seconds = self.retry_after.as_deref()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
    }
}

/// Decides what to do after an attempt. What is sent again has the same effect twice: `docs/api.md`, "Retries".
pub(super) fn verdict(sent: Result<Response, Error>) -> Verdict {
    match sent {
        Ok(response) => {
            let asked = response.retry_after();
            let reason = match response.status {
                429 => "the API has too many requests (429)".to_owned(),
                409 if asked.is_some() => "the same request is still running (409)".to_owned(),
                status @ 500.. => format!("the API is not available ({status}, {})", response.detail()),
                _ => return Verdict::Done(response),
            };
            Verdict::Again(reason, asked)
        }
        Err(
            error @ (Error::Io(_)
            | Error::Timeout(_)
            | Error::HostNotFound
            | Error::ConnectionFailed
            | Error::Protocol(_)),
        ) => Verdict::Again(format!("no response ({})", describe(&error)), None),
        Err(error) => Verdict::Failed(describe(&error)),
    }
}

/// The pause after this many attempts: twice as long each time, less up to one half at random.
pub(super) fn backoff(attempts: u32, random: f64) -> Duration {
    let longest = Duration::from_secs(1).saturating_mul(1 << (attempts - 1).min(10)).min(MAX_BACKOFF);
    longest.mul_f64(1.0 - random / 2.0)
}

/// The beginning of a text of the API in one line, without control characters.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_SHOWN).collect()
}

/// An error of the connection, in one line.
pub(super) fn describe(error: &Error) -> String {
    error.to_string().replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_a_limit() {
        let pauses = |random| [1, 2, 3, 6, 11].map(|attempts| backoff(attempts, random).as_millis());
        assert_eq!(pauses(0.0), [1_000, 2_000, 4_000, 30_000, 30_000]);
        assert_eq!(pauses(1.0), [500, 1_000, 2_000, 15_000, 15_000]);
    }
}
