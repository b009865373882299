//! Rate limits: refused beyond the limit of a key, served after `Retry-After`, and reported by every function.

use std::thread;
use std::time::Duration;

use serde_json::json;
use shared::Endpoint;
use uuid::Uuid;

use crate::client::{Request, Response, get, post};

/// Creates an API key with a limit, and returns the key.
fn new_limited_key(requests_per_second: u32, burst: u32) -> String {
    let limit = json!({"requests_per_second": requests_per_second, "burst": burst});
    let body = json!({"name": "a test's", "scopes": ["admin"], "live": false, "rate_limit": limit});
    let created = post("/api-keys/", &body).send().expect(201).json();
    assert_eq!(created["rate_limit"], limit);
    created["key"].as_str().unwrap().to_owned()
}

/// The requests that are left of the key's limit, from the header `RateLimit`.
fn remaining(response: &Response) -> u32 {
    let quota = response.header("ratelimit").strip_prefix(r#""key";r="#);
    let quota = quota.unwrap_or_else(|| panic!("no quota of the key: {response:?}"));
    quota.split(';').next().unwrap().parse().unwrap()
}

/// Sends the request until it is refused.
///
/// Several at a time: a slow API may take longer for a request than its limit does to admit the next one.
fn send_until_refused(request: &Request) -> Response {
    const AT_ONCE: usize = 8;
    const MOST: usize = 160;
    for _ in 0..MOST / AT_ONCE {
        for response in send_at_once(request, AT_ONCE) {
            if response.status == 429 {
                return response;
            }
            assert_eq!(response.status, 200, "{response:?}");
            remaining(&response);
        }
    }
    panic!("{MOST} requests were served");
}

fn send_at_once(request: &Request, count: usize) -> Vec<Response> {
    thread::scope(|scope| {
        let senders: Vec<_> = (0..count).map(|_| scope.spawn(|| request.send())).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    })
}

#[test]
fn a_limited_key_is_refused_beyond_its_limit_and_served_after_retry_after() {
    let list = get("/companies/?limit=1");
    let limited = list.clone().key(&new_limited_key(1, 3));

    let refused = send_until_refused(&limited);

    refused.expect_error(429, "Too many requests");
    assert!(refused.header("ratelimit-policy").starts_with(r#""key";q=3;w=3"#), "{refused:?}");
    assert_eq!(remaining(&refused), 0);
    let other = list.send().expect(200);
    assert!(!other.header("ratelimit").contains("key"), "{other:?}");

    // Other processes may have admitted requests that this one did not know of when it refused.
    let mut response = refused;
    for _ in 0..5 {
        let seconds: u64 = response.header("retry-after").parse().unwrap();
        assert!((1..=61).contains(&seconds), "{response:?}");
        thread::sleep(Duration::from_secs(seconds));
        response = limited.send();
        if response.status == 200 {
            return;
        }
    }
    panic!("refused after each Retry-After: {response:?}");
}

/// A function that may not write the bucket of a key would never learn that others have emptied it.
#[test]
fn every_function_learns_what_the_others_have_admitted() {
    // The largest burst for which a single request exceeds the free share of a process.
    const BURST: u32 = 19;
    let key = new_limited_key(1, BURST);
    let companies = get("/companies/?limit=1").key(&key);
    send_until_refused(&companies);
    // The next requests of each process of that function report the whole burst.
    for _ in 0..2 {
        thread::sleep(Duration::from_millis(1_100));
        for _ in 0..20 {
            companies.send();
        }
    }

    for endpoint in Endpoint::ALL.iter().filter(|endpoint| **endpoint != Endpoint::ListCompanies) {
        let unknown = Uuid::now_v7();
        let request = Request::new(endpoint.spec().method.as_str(), &endpoint.path_with(|_| unknown)).key(&key);
        assert!(learns(&request, &companies, BURST), "{endpoint:?} does not read the bucket");
    }
}

/// Whether the function soon shows fewer remaining requests than its own requests explain, whatever its status.
/// `others` is a request of another function with the same key.
fn learns(request: &Request, others: &Request, burst: u32) -> bool {
    const OTHERS: u32 = 5;
    // A function may run in several processes, each of which learns by a request of its own.
    for sent in 1..30 {
        // However slow the functions are, the bucket is empty.
        send_until_refused(others);
        let response = request.send();
        assert_ne!(response.status, 401, "{response:?}");
        if response.status == 429 || remaining(&response) + sent + OTHERS <= burst {
            return true;
        }
        // A function reports once per second, and it may have reported another test's key just now.
        thread::sleep(Duration::from_millis(300));
    }
    false
}
