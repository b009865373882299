//! A rehearsal of the rotation of the secret that signs tokens, without a deployment: tokens of the secret and of the one before
//! are accepted, those of older ones refused, once functions have read the secret again.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use chrono::TimeDelta;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use shared::testing::Tenant;
use tokio::time::{Duration, Instant, sleep};

use super::Progress;
use super::emulator::Emulator;
use crate::dev::{Session, new_jwt_secret};

/// The longest time until a new secret is accepted: a token that fits no cached secret causes a read, at most every 10
/// seconds. And the time of the requests that observe it.
const NEW_SECRET_TIME: Duration = Duration::from_secs(10 + 2);
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The deployed API, and the secret that it reads.
pub(super) struct Rehearsal<'a> {
    pub(super) root: &'a Path,
    pub(super) emulator: &'a Emulator,
    pub(super) session: &'a Session,
    pub(super) secret_arn: &'a str,
    /// How long functions cache the secret.
    pub(super) cached_for: Duration,
    pub(super) progress: Progress,
}

impl Rehearsal<'_> {
    /// Rotates the secret twice. Returns the secrets and tokens, which no log may contain.
    pub(super) async fn run(&self) -> Result<Vec<String>> {
        let first = self.session.jwt_secret.clone();
        let (second, third) = (new_jwt_secret(), new_jwt_secret());
        let [first_token, second_token, third_token] = [&first, &second, &third].map(|secret| self.token(secret));
        self.expect("before the rotation", &[(&first_token, true), (&second_token, false)], NEW_SECRET_TIME).await?;

        self.emulator.put_secret(self.root, self.secret_arn, &second).await?;
        let accepted = [(&*second_token, true), (&*first_token, true)];
        self.expect("after the first rotation", &accepted, NEW_SECRET_TIME).await?;

        self.emulator.put_secret(self.root, self.secret_arn, &third).await?;
        // No token that fits no cached secret is sent meanwhile: it would cause a read.
        let withdrawn = [(&*first_token, false)];
        self.expect("after the second rotation", &withdrawn, 2 * self.cached_for + NEW_SECRET_TIME).await?;
        let accepted = [(&*second_token, true), (&*third_token, true)];
        self.expect("after the second rotation", &accepted, NEW_SECRET_TIME).await?;
        Ok(vec![second, third, first_token, second_token, third_token])
    }

    /// Waits until each token is accepted or refused as expected.
    async fn expect(&self, when: &str, tokens: &[(&str, bool)], limit: Duration) -> Result<()> {
        let started = Instant::now();
        loop {
            let mut accepted = Vec::new();
            for (token, _) in tokens {
                accepted.push(self.status(token).await? == StatusCode::OK);
            }
            let waited = started.elapsed().as_secs();
            if tokens.iter().map(|(_, expected)| expected).eq(&accepted) {
                self.progress.print(&format!("{when}: tokens are accepted and refused as expected, after {waited} s"));
                return Ok(());
            }
            let expected: Vec<_> = tokens.iter().map(|(_, expected)| expected).collect();
            ensure!(
                started.elapsed() < limit,
                "{when}: still after {waited} s, tokens are accepted: {accepted:?}, expected {expected:?}"
            );
            sleep(POLL_INTERVAL).await;
        }
    }

    /// A token of the first organization.
    fn token(&self, secret: &str) -> String {
        let tenant = Tenant::new();
        let org_id = self.session.orgs.first().map_or(tenant.org_id, |org| org.org_id);
        Tenant { org_id, ..tenant }.jwt(secret, TimeDelta::hours(1))
    }

    async fn status(&self, token: &str) -> Result<StatusCode> {
        let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(HttpConnector::new());
        let url = format!("{}/contacts/?limit=1", self.session.base_url);
        let request = Request::get(&url).header("authorization", format!("Bearer {token}")).body(Empty::new())?;
        Ok(client.request(request).await.with_context(|| format!("cannot call {url}"))?.status())
    }
}
