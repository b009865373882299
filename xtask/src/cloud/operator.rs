//! A rehearsal of the operator's commands: as processes, with a profile of the AWS configuration whose user has the documented
//! permissions and no others. The API has to notice what they do within the stated time.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::domain::AuditAction;
use tokio::process::Command;
use tokio::time::{Duration, Instant, sleep};

use super::Progress;
use super::emulator::{Emulator, output_of};
use crate::dev::LOCAL_CREDENTIALS;
use crate::files::remove_if_present;

/// The time within which a function notices that a key is revoked or an organization suspended, and the time of the requests
/// that observe it.
const NOTICE_TIME: Duration = Duration::from_secs(60 + 5);
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The profile in the AWS configuration.
const PROFILE: &str = "operator";
/// The permissions of an operator.
const POLICY: &str = "docs/operator-policy.json";
const EMAIL: &str = "erase.me@example.com";
/// An id that another platform has made: version 4.
const MIGRATED_CONTACT: &str = "0f3c2b1a-9d8e-4c7b-a6f5-e4d3c2b1a098";

/// The deployed API, and its table.
pub(super) struct Rehearsal<'a> {
    pub(super) root: &'a Path,
    /// The directory of the AWS configuration.
    pub(super) directory: &'a Path,
    pub(super) emulator: &'a Emulator,
    pub(super) base_url: &'a str,
    pub(super) table: &'a str,
    pub(super) progress: Progress,
}

/// An access key of the operator, as `xtask/cloud/create_operator.py` prints it.
#[derive(Deserialize)]
struct AccessKey {
    id: String,
    secret: String,
}

impl Rehearsal<'_> {
    /// Runs the commands. Returns the keys, which no log may contain.
    pub(super) async fn run(&self) -> Result<Vec<String>> {
        self.write_profile().await?;
        let created = self.xtask(&["org", "create", "--name", "Rehearsal"]).await?;
        let (org, admin) = (text(&created, "/organization/id")?, text(&created, "/api_key/key")?);
        let created = self.xtask(&["key", "create", "--org", &org, "--scope", "read"]).await?;
        let (reader_id, reader) = (text(&created, "/api_key/id")?, text(&created, "/api_key/key")?);
        for key in [&admin, &reader] {
            self.expect("a new key", key, StatusCode::OK, Duration::ZERO).await?;
        }
        self.erase_person(&org, &admin).await?;
        self.import_and_export(&org, &admin).await?;
        self.repair().await?;
        self.revoke(&org, &reader_id, &reader).await?;
        self.suspend_and_resume(&org, &admin).await?;
        self.ensure_audit_log(&admin).await?;
        Ok(vec![admin, reader, EMAIL.to_owned()])
    }

    async fn erase_person(&self, org: &str, admin: &str) -> Result<()> {
        let contact = json!({"email": EMAIL, "full_name": "Erase Me", "linkedin_profile": "linkedin.com/in/eraseme"});
        let created = self.call(Method::POST, "/contacts/", admin, Some(&contact)).await?.1;
        let path = format!("/contacts/{}", text(&created, "/id")?);
        let activity = json!({
            "id": "act_1", "event_time": "2026-01-02T03:04:05Z", "channel": "email", "event_type": "replied",
            "direction": "inbound", "metadata": {},
        });
        let recorded = self.call(Method::POST, &format!("{path}/activities"), admin, Some(&json!([activity]))).await?;
        ensure!(recorded.0.is_success(), "the activity is not recorded: {}", recorded.1);

        let erase = ["org", "erase-person", EMAIL, "--all-organizations"];
        let unconfirmed = self.xtask(&erase).await.err().context("a person was erased without a confirmation")?;
        let reason = format!("{unconfirmed:#}");
        ensure!(reason.contains("pass --yes to confirm"), "an erasure without --yes fails with: {reason}");
        let kept = self.call(Method::GET, &path, admin, None).await?.0;
        ensure!(kept == StatusCode::OK, "an erasure without --yes was carried out: {kept}");

        let report = self.xtask(&[&erase[..], &["--yes"]].concat()).await?;
        let erased = report["erased"].as_array().context("the report names no erased contact")?;
        ensure!(
            erased.len() == 1 && erased[0]["org_id"] == org && erased[0]["activities"] == 1,
            "the report of the erasure is {report}"
        );
        let gone = self.call(Method::GET, &path, admin, None).await?.0;
        ensure!(gone == StatusCode::NOT_FOUND, "an erased contact is a {gone}");
        self.progress.print("operators' commands: a person is erased");
        Ok(())
    }

    /// Imports a contact with an id of another platform, reads it over HTTP, and exports the organization.
    async fn import_and_export(&self, org: &str, admin: &str) -> Result<()> {
        let created_at = "2021-03-03T11:01:02.003Z";
        let contact = json!({
            "type": "contact", "id": MIGRATED_CONTACT, "full_name": "Mi Grated", "email": "mi.grated@example.com",
            "linkedin_profile": "https://www.linkedin.com/in/migrated", "created_at": created_at, "updated_at": created_at,
        });
        let (imported, exported) = (self.directory.join("import.ndjson"), self.directory.join("export.ndjson"));
        fs::write(&imported, format!("{contact}\n")).context("cannot write the file to import")?;
        remove_if_present(&exported)?;

        self.xtask(&["org", "import", org, &imported.display().to_string()]).await?;
        let (status, shown) = self.call(Method::GET, &format!("/contacts/{MIGRATED_CONTACT}"), admin, None).await?;
        let is_shown = status == StatusCode::OK && shown["created_at"] == "2021-03-03T11:01:02Z";
        ensure!(is_shown, "an imported contact is a {status}: {shown}");
        self.xtask(&["org", "export", org, "--output", &exported.display().to_string()]).await?;
        let lines = fs::read_to_string(&exported).context("cannot read the exported file")?;
        ensure!(lines.contains(MIGRATED_CONTACT), "the export lacks the imported contact");
        self.progress.print("operators' commands: a contact is imported, and the organization exported");
        Ok(())
    }

    /// Looks for orphans in the table, and deletes what it finds.
    async fn repair(&self) -> Result<()> {
        let report = self.xtask(&["repair", "--apply", "--yes", "--max-read-units", "5000"]).await?;
        ensure!(report["complete"] == true && report["kept"] == 0, "the report of the repair is {report}");
        self.progress.print(&format!("operators' commands: {} items are scanned for orphans", report["scanned"]));
        Ok(())
    }

    async fn revoke(&self, org: &str, id: &str, key: &str) -> Result<()> {
        self.expect("a key before its revocation", key, StatusCode::OK, Duration::ZERO).await?;
        self.xtask(&["key", "revoke", "--org", org, id, "--yes"]).await?;
        self.expect("a revoked key", key, StatusCode::UNAUTHORIZED, NOTICE_TIME).await?;
        let listed = self.xtask(&["key", "list", "--org", org]).await?;
        let revoked = listed["api_keys"].as_array().into_iter().flatten().filter(|key| !key["revoked_at"].is_null());
        ensure!(revoked.count() == 1, "the list of keys is {listed}");
        Ok(())
    }

    async fn suspend_and_resume(&self, org: &str, admin: &str) -> Result<()> {
        self.expect("an organization before its suspension", admin, StatusCode::OK, Duration::ZERO).await?;
        self.xtask(&["org", "suspend", org, "--yes"]).await?;
        self.expect("a suspended organization", admin, StatusCode::FORBIDDEN, NOTICE_TIME).await?;
        self.xtask(&["org", "resume", org]).await?;
        // By a function that has not cached the suspension, so that this does not take another minute.
        let resumed = self.call(Method::GET, "/campaigns/?limit=1", admin, None).await?.0;
        ensure!(resumed == StatusCode::OK, "a resumed organization is a {resumed}");
        let listed = self.xtask(&["org", "list"]).await?;
        let is_listed = |organization: &Value| organization["id"] == org && organization["suspended_at"].is_null();
        ensure!(listed["organizations"].as_array().is_some_and(|all| all.iter().any(is_listed)), "{listed}");
        Ok(())
    }

    /// The audit log has what the commands did, by one operator, each command with its own request id.
    async fn ensure_audit_log(&self, admin: &str) -> Result<()> {
        let (status, entries) = self.call(Method::GET, "/audit-log/", admin, None).await?;
        ensure!(status == StatusCode::OK, "the audit log is a {status}: {entries}");
        let entries = entries.as_array().context("the audit log is no array")?;
        let actions: Vec<_> = entries.iter().filter_map(|entry| entry["action"].as_str()).collect();
        for expected in [
            AuditAction::ApiKeyCreated,
            AuditAction::ApiKeyRevoked,
            AuditAction::OrganizationCreated,
            AuditAction::OrganizationSuspended,
            AuditAction::OrganizationResumed,
            AuditAction::OrganizationExported,
            AuditAction::PersonErased,
        ] {
            ensure!(actions.contains(&expected.as_str()), "the audit log lacks {expected}; it has {actions:?}");
        }
        self.progress.print(&format!("operators' commands: the audit log has {} entries", actions.len()));
        Ok(())
    }

    /// Creates the operator, and writes the AWS configuration that the commands read.
    async fn write_profile(&self) -> Result<()> {
        let python = self.emulator.python();
        let mut create = Command::new(python);
        create.arg(self.root.join("xtask/cloud/create_operator.py")).arg(self.emulator.url());
        create.arg(self.root.join(POLICY)).arg(self.table);
        let output = output_of(create).await.context("cannot create the operator")?;
        let AccessKey { id, secret } = serde_json::from_str(&output)?;
        let file = self.config_file();
        let profile = format!(
            "[profile {PROFILE}]\nregion = us-east-1\nendpoint_url = {}\naws_access_key_id = {id}\n\
             aws_secret_access_key = {secret}\n",
            self.emulator.url()
        );
        fs::write(&file, profile).with_context(|| format!("cannot write {}", file.display()))
    }

    fn config_file(&self) -> PathBuf {
        self.directory.join("aws-config")
    }

    /// Runs `cargo xtask` without a terminal, and returns its JSON.
    async fn xtask(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = Command::new(env::current_exe().context("the path of this program is not known")?);
        command.args(arguments).args(["--table", self.table, "--profile", PROFILE, "--json"]).current_dir(self.root);
        for (name, _) in LOCAL_CREDENTIALS {
            command.env_remove(name);
        }
        command.env("AWS_CONFIG_FILE", self.config_file()).env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        let output = output_of(command).await;
        let output = output.with_context(|| format!("cargo xtask {} failed", arguments.join(" ")))?;
        serde_json::from_str(&output).with_context(|| format!("cargo xtask {} printed no JSON", arguments.join(" ")))
    }

    /// Waits until a list of contacts with this key has the expected status.
    async fn expect(&self, what: &str, key: &str, expected: StatusCode, limit: Duration) -> Result<()> {
        let started = Instant::now();
        loop {
            let status = self.call(Method::GET, "/contacts/?limit=1", key, None).await?.0;
            let waited = started.elapsed().as_secs();
            if status == expected {
                self.progress.print(&format!("operators' commands: {what} is a {}, after {waited} s", status.as_u16()));
                return Ok(());
            }
            ensure!(started.elapsed() < limit, "{what} is a {status} after {waited} s, and not a {expected}");
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Sends a request, and returns status and body.
    async fn call(&self, method: Method, path: &str, key: &str, body: Option<&Value>) -> Result<(StatusCode, Value)> {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let url = format!("{}{path}", self.base_url);
        let request = Request::builder().method(method).uri(&url).header("x-api-key", key);
        let request = request.header("content-type", "application/json");
        let body = body.map(ToString::to_string).unwrap_or_default();
        let request: Request<Full<Bytes>> = request.body(Bytes::from(body).into())?;
        let response = client.request(request).await.with_context(|| format!("cannot call {url}"))?;
        let status = response.status();
        let body = response.into_body().collect().await.with_context(|| format!("cannot read from {url}"))?.to_bytes();
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }
}

/// The text at a JSON pointer.
fn text(json: &Value, pointer: &str) -> Result<String> {
    let text = json.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no {pointer} in {json}"))?;
    Ok(text.to_owned())
}
