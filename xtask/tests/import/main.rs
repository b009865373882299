//! `cargo xtask import` as a process of its own, which is killed for real, against the API's repositories behind a small server.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use fastrand::Rng;
use serde_json::{Value, json};
use uuid::Uuid;

use self::server::{CAMPAIGN, Kill, KillPoint, Server, Signal, locked};

const EXE: &str = env!("CARGO_BIN_EXE_xtask");

/// A folder with the file to import, which is removed when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("import-{}", Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    fn has_temporary_files(&self) -> bool {
        let is_temporary = |path: PathBuf| path.extension().is_some_and(|extension| extension == "tmp");
        fs::read_dir(&self.0).unwrap().any(|entry| is_temporary(entry.unwrap().path()))
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// What a run has printed, and how it ended.
struct Run {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Run {
    fn report(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{}\n{}", self.stdout, self.stderr))
    }

    #[track_caller]
    fn assert_error(&self, expected: &str) {
        assert_eq!((self.status.code(), &*self.stdout), (Some(1), ""), "{}", self.stderr);
        let error = self.stderr.lines().last().unwrap();
        assert!(error.starts_with("error: ") && error.contains(expected), "{error}");
    }
}

/// Runs the command on `leads.csv`. The process is killed if a kill is planned, at a request that it may not reach.
async fn run(server: &Server, folder: &Folder, args: &[&str], kill: Option<(usize, KillPoint)>) -> Run {
    run_with_key(server, &server.state.key, &folder.file("leads.csv"), args, kill).await
}

async fn run_with_key(server: &Server, key: &str, file: &Path, args: &[&str], kill: Option<(usize, KillPoint)>) -> Run {
    run_with_signal(server, key, file, args, Signal::KILL, kill).await
}

async fn run_with_signal(
    server: &Server,
    key: &str,
    file: &Path,
    args: &[&str],
    signal: Signal,
    kill: Option<(usize, KillPoint)>,
) -> Run {
    let outputs = ["stdout", "stderr"].map(|name| file.with_file_name(name));
    let [stdout, stderr] = outputs.each_ref().map(|path| File::create(path).unwrap());
    let mut child = Command::new(EXE)
        .arg("import")
        .arg(file)
        .args(["--json", "--yes"])
        .args(args)
        .env("CONTACTS_API_URL", &server.url)
        .env("CONTACTS_API_KEY", key)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .unwrap();
    let process = child.id();
    server.state.kill_at(kill.map(|(requests_before, point)| Kill { requests_before, point, signal, process }));
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    server.state.kill_at(None);
    let [stdout, stderr] = outputs.map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(path).unwrap();
        text
    });
    for text in [&stdout, &stderr] {
        assert!(!text.contains(key), "the key is printed: {text}");
    }
    Run { status, stdout, stderr }
}

/// A file in which some rows are invalid and many emails occur several times.
struct Leads {
    text: String,
    invalid: BTreeSet<u64>,
    /// The company of the last valid row of each email.
    companies: BTreeMap<String, String>,
}

fn random_leads(rng: &mut Rng, rows: u64) -> Leads {
    let mut leads = Leads {
        text: "Email;Name;LinkedIn;Company\n".to_owned(),
        invalid: BTreeSet::new(),
        companies: BTreeMap::new(),
    };
    for row in 1..=rows {
        let mut email = format!("jane.{}@example.com", rng.u64(..rows / 2));
        let company = format!("Company {row}");
        if rng.u8(..10) == 0 {
            "jane".clone_into(&mut email);
            leads.invalid.insert(row);
        } else {
            leads.companies.insert(email.clone(), company.clone());
        }
        leads.text.extend([&email, ";Jane Doe;in/janedoe;", &company, "\n"]);
    }
    leads
}

/// The numbers of the rows in a file of refused rows.
fn rejected_rows(folder: &Folder) -> BTreeSet<u64> {
    let file = folder.file("leads.rejected.csv");
    if !file.exists() {
        return BTreeSet::new();
    }
    let rows = folder.read("leads.rejected.csv");
    rows.lines().skip(1).map(|row| row.split(';').next().unwrap().parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_is_killed_again_and_again_has_every_row_once() {
    const ROWS: u64 = 60;
    let mut kills = 0;
    for seed in 0..8 {
        let mut rng = Rng::with_seed(seed);
        let server = Server::start(seed, 0.15).await;
        let folder = Folder::new();
        let leads = random_leads(&mut rng, ROWS);
        folder.write("leads.csv", &leads.text);

        let finished = loop {
            let points = [KillPoint::BeforeExecution, KillPoint::AfterExecution, KillPoint::AfterResponse];
            let kill = (rng.usize(..9), *rng.choice(&points).unwrap());
            let run = run(&server, &folder, &["--resume", "--chunk-rows", "5"], Some(kill)).await;
            match run.status.code() {
                None => kills += 1,
                // The check of the key is not repeated.
                Some(1) => run.assert_error("cannot reach the API"),
                Some(_) => break run,
            }
        };

        let report = finished.report();
        assert_eq!(finished.status.code(), Some(if leads.invalid.is_empty() { 0 } else { 3 }), "{}", finished.stderr);
        let number = |name: &str| report[name].as_u64().unwrap();
        assert_eq!((number("rows"), number("refused")), (ROWS, leads.invalid.len() as u64), "seed {seed}");
        assert_eq!(number("created") + number("updated") + number("refused"), ROWS, "seed {seed}");
        assert_eq!(rejected_rows(&folder), leads.invalid, "seed {seed}");
        let contacts = server.state.contacts().await;
        assert_eq!(contacts.len(), leads.companies.len(), "seed {seed}");
        let found: BTreeMap<_, _> = contacts
            .iter()
            .map(|contact| {
                let company = contact.details.company.as_ref().unwrap();
                (contact.details.email.to_string(), company.to_string())
            })
            .collect();
        assert_eq!(found, leads.companies, "seed {seed}");
        let imports = server.state.imports().await;
        assert_eq!(imports.iter().map(|(_, members)| *members).collect::<Vec<_>>(), [contacts.len() as u64]);
        assert!(!folder.read("leads.import.ndjson").contains(&server.state.key));
    }
    assert!(kills > 8, "{kills} kills");
}

const VALID: &str = "Work Email,First name,Last name,Profile\n\
                     jane.doe@example.com,Jane,Doe,in/janedoe\n\
                     john.doe@example.com,John,Doe,in/johndoe\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_loaded_and_linked_to_a_campaign_found_by_its_name() {
    let server = Server::start(0, 0.0).await;
    let folder = Folder::new();
    folder.write("leads.csv", VALID);

    let loaded = run(&server, &folder, &["--map", "Profile=linkedin_profile", "--campaign", "Q1-2024"], None).await;

    assert_eq!(loaded.status.code(), Some(0), "{}", loaded.stderr);
    let report = loaded.report();
    let (import, members) = server.state.imports().await.remove(0);
    assert_eq!(
        report,
        json!({
            "file": folder.file("leads.csv"), "dry_run": false, "rows": 2, "valid": null, "created": 2, "updated": 0,
            "refused": 0, "rejected_file": null, "import_id": import.id, "resumed": false,
            "campaign": {
                "campaign_id": CAMPAIGN, "considered_contacts": 2, "excluded_contacts": 0, "inserted_leads": 2,
                "several_calls": false,
            },
        })
    );
    assert_eq!(members, 2);
    assert_eq!(*locked(&server.state.completed), [json!({"status": "completed", "total_rows": 2})]);
    let names: BTreeSet<_> =
        server.state.contacts().await.iter().map(|contact| contact.details.full_name.to_string()).collect();
    assert_eq!(names, BTreeSet::from(["Jane Doe", "John Doe"].map(str::to_owned)));
    for part in ["UTF-8, separated by \",\"", "Work Email  email ", "Profile     linkedin_profile"] {
        assert!(loaded.stderr.contains(part), "{}", loaded.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_rows_are_corrected_and_imported() {
    let server = Server::start(0, 0.0).await;
    let folder = Folder::new();
    folder.write("leads.csv", &format!("{VALID}jane,Jane,Roe,in/janeroe\n").replace("Profile", "LinkedIn"));

    let loaded = run(&server, &folder, &[], None).await;

    assert_eq!(loaded.status.code(), Some(3), "{}", loaded.stderr);
    assert!(loaded.stderr.contains("row 3 (line 4): email must be a valid email address"), "{}", loaded.stderr);
    let rejected = folder.read("leads.rejected.csv");
    assert_eq!(
        rejected,
        "\u{FEFF}row,reason,Work Email,First name,Last name,LinkedIn\n\
         3,email must be a valid email address,jane,Jane,Roe,in/janeroe\n"
    );
    folder.write("leads.rejected.csv", &rejected.replace("jane,", "jane.roe@example.com,"));
    let rest = folder.file("leads.rejected.csv");
    let corrected = run_with_key(&server, &server.state.key, &rest, &[], None).await;
    assert_eq!(corrected.status.code(), Some(0), "{}", corrected.stderr);
    assert_eq!(server.state.contacts().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_run_replaces_the_refused_rows_of_the_killed_one_unless_they_are_corrected() {
    let server = Server::start(0, 0.0).await;
    let folder = Folder::new();
    // The command refuses the first row, and the API those with which the contact would become too large.
    let row = |email: &str, key: u32| {
        let value = "x".repeat(60_000);
        format!("{email},Jane Doe,in/janedoe,\"{{\"\"key_{key}\"\": \"\"{value}\"\"}}\"\n")
    };
    let rows: String = (1..=8).map(|key| row("jane.doe@example.com", key)).collect();
    folder.write("leads.csv", &format!("Email,Name,LinkedIn,Metadata\n{}{rows}", row("jane", 0)));
    let killed_at_the_end = || {
        let journal = folder.read("leads.import.ndjson");
        folder.write("leads.import.ndjson", journal.strip_suffix("\"finished\"\n").unwrap());
    };
    let loaded = run(&server, &folder, &[], None).await;
    let rejected = folder.read("leads.rejected.csv");
    assert_eq!(
        (loaded.status.code(), rejected.contains("would grow the contact")),
        (Some(3), true),
        "{}",
        loaded.stderr
    );

    killed_at_the_end();
    let resumed = run(&server, &folder, &["--resume"], None).await;

    assert_eq!((resumed.status.code(), folder.read("leads.rejected.csv")), (Some(3), rejected), "{}", resumed.stderr);
    assert!(!folder.file("leads.rejected.1.csv").exists());

    killed_at_the_end();
    folder.write("leads.rejected.csv", "corrected");
    run(&server, &folder, &["--resume"], None).await;
    assert_eq!(folder.read("leads.rejected.1.csv"), "corrected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_sends_nothing() {
    let server = Server::start(0, 1.0).await;
    let folder = Folder::new();
    folder.write("leads.csv", &VALID.replace("Profile", "LinkedIn"));

    let checked = run(&server, &folder, &["--dry-run"], Some((0, KillPoint::BeforeExecution))).await;

    assert_eq!(checked.status.code(), Some(0), "{}", checked.stderr);
    assert_eq!(checked.report()["valid"], 2);
    let names: Vec<_> = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["leads.csv"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_is_neither_ignored_nor_taken_for_another_load() {
    let server = Server::start(0, 0.0).await;
    let folder = Folder::new();
    let text = VALID.replace("Profile", "LinkedIn");
    folder.write("leads.csv", &text);
    // The requests are: check the key, create the import, upload one row, upload the other.
    let killed = run(&server, &folder, &["--chunk-rows", "1"], Some((2, KillPoint::BeforeExecution))).await;
    assert_eq!(killed.status.code(), None);

    let again = run(&server, &folder, &[], None).await;
    again.assert_error("of 2 rows of");
    again.assert_error("pass --resume to go on, or remove");
    folder.write("leads.csv", &format!("{text}\n"));
    run(&server, &folder, &["--resume"], None).await.assert_error("has changed since");
    folder.write("leads.csv", &text);
    run(&server, &folder, &["--resume", "--map", "Last name="], None)
        .await
        .assert_error("was begun with other columns");
    run(&server, &folder, &["--resume", "--campaign", "Q1-2024"], None).await.assert_error("other campaign");

    let resumed = run(&server, &folder, &["--resume"], None).await;
    assert_eq!(resumed.status.code(), Some(0), "{}", resumed.stderr);
    run(&server, &folder, &[], None).await.assert_error("is loaded already as import");
    folder.write("leads.rejected.csv", "of another load");
    let finished = run(&server, &folder, &["--resume"], None).await;
    assert_eq!((finished.status.code(), finished.report()), (Some(0), resumed.report()));
    assert_eq!(server.state.contacts().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_is_not_resumed_in_another_organization() {
    let server = Server::start(0, 0.0).await;
    let folder = Folder::new();
    folder.write("leads.csv", &VALID.replace("Profile", "LinkedIn"));
    let killed = run(&server, &folder, &["--chunk-rows", "1"], Some((2, KillPoint::BeforeExecution))).await;
    assert_eq!(killed.status.code(), None);

    let file = folder.file("leads.csv");
    let other = run_with_key(&server, &server.state.other_key, &file, &["--resume"], None).await;

    other.assert_error("the organization of this API key has no import");
    other.assert_error("leads.import.ndjson to load from the start");
    assert_eq!(server.state.contacts_of(&server.state.app.other).await, []);
    let resumed = run(&server, &folder, &["--resume"], None).await;
    assert_eq!(resumed.status.code(), Some(0), "{}", resumed.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_stops_a_load_which_can_be_resumed() {
    let server = Server::start(0, 0.0).await;
    let folder = Folder::new();
    folder.write("leads.csv", &format!("{VALID}jane,Jane,Roe,in/janeroe\n").replace("Profile", "LinkedIn"));
    let file = folder.file("leads.csv");
    for (signal, requests_before) in [(Signal::TERM, 1), (Signal::INT, 2)] {
        let at = Some((requests_before, KillPoint::BeforeExecution));
        let args = ["--resume", "--chunk-rows", "1"];
        let stopped = run_with_signal(&server, &server.state.key, &file, &args, signal, at).await;
        if requests_before > 0 {
            stopped.assert_error(
                "of 2 rows are loaded; repeat the command with --resume to resume the load: stopped by a signal",
            );
        }
        assert!(!folder.has_temporary_files());
    }

    let resumed = run(&server, &folder, &["--resume"], None).await;

    assert_eq!(resumed.status.code(), Some(3), "{}", resumed.stderr);
    assert_eq!((server.state.contacts().await.len(), rejected_lines(&folder)), (2, 2));
}

/// The number of lines in the file of refused rows.
fn rejected_lines(folder: &Folder) -> usize {
    folder.read("leads.rejected.csv").lines().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_one_line_that_says_what_to_do() {
    let server = Server::start(0, 0.0).await;
    let folder = Folder::new();
    folder.write("leads.csv", VALID);
    run(&server, &folder, &[], None).await.assert_error("no column for linkedin_profile");
    folder.write("leads.csv", &VALID.replace("Profile", "LinkedIn"));
    let file = folder.file("leads.csv");
    run_with_key(&server, "sk_test_wrong", &file, &[], None).await.assert_error("does not accept the key (401)");
    run(&server, &folder, &["--campaign", "Q2"], None).await.assert_error("there is no campaign named \"Q2\"");
    let missing = folder.file("missing.csv");
    run_with_key(&server, &server.state.key, &missing, &[], None).await.assert_error("cannot read");
    let usage = run(&server, &folder, &["--map", "Email"], None).await;
    assert_eq!(usage.status.code(), Some(2), "{}", usage.stderr);
    assert!(server.state.contacts().await.is_empty());
}
