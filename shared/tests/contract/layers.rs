//! The layers of the crate and what each may depend on, as `shared/src/lib.rs` draws them, and the crates that no function
//! carries.
//!
//! The compiler enforces dependencies between crates, not between modules, so this test reads `use` paths.

use std::fs;
use std::path::{Path, PathBuf};

use super::{cargo, root};

/// A layer of the crate.
struct Layer {
    /// Its folder or file under `shared/src`.
    at: &'static str,
    /// The other layers that it may name.
    depends_on: &'static [&'static str],
    /// The entries of [`RESTRICTED_CRATES`] that it may name.
    uses: &'static [&'static str],
}

/// Crates, by the beginning of their name, that only some layers may name. `aws_sdk` is the clients of AWS's services,
/// `aws_smithy` the parts they are made of.
const RESTRICTED_CRATES: [&str; 7] =
    ["aws_sdk", "aws_smithy", "hyper", "lambda_http", "lambda_runtime", "tokio", "utoipa"];

/// From the bottom to the top. `openapi`, `testing` and `lib.rs` are above all layers and unrestricted.
const LAYERS: [Layer; 17] = [
    // Pure; `utoipa` describes its values in openapi.json.
    Layer { at: "domain", depends_on: &[], uses: &["utoipa"] },
    Layer { at: "config.rs", depends_on: &["domain"], uses: &[] },
    // The clock and the source of randomness.
    Layer { at: "system.rs", depends_on: &["domain"], uses: &[] },
    // What an invocation consists of, beside its event.
    Layer { at: "trace.rs", depends_on: &[], uses: &["tokio"] },
    Layer { at: "invocation.rs", depends_on: &["trace"], uses: &["lambda_runtime", "tokio"] },
    Layer { at: "aws", depends_on: &["config", "trace"], uses: &["aws_sdk", "aws_smithy", "hyper", "tokio"] },
    // The database's client is private to it, with the parts by which it reads and repeats a call.
    Layer {
        at: "dynamodb",
        depends_on: &["aws", "config", "domain", "system"],
        uses: &["aws_sdk", "aws_smithy", "tokio"],
    },
    Layer { at: "repositories", depends_on: &["domain", "dynamodb", "system"], uses: &["aws_sdk", "tokio"] },
    // It fetches public keys from a token issuer, and a shared secret from Secrets Manager.
    Layer {
        at: "auth",
        depends_on: &["aws", "config", "domain", "dynamodb", "repositories", "trace"],
        uses: &["aws_sdk", "aws_smithy", "tokio"],
    },
    Layer { at: "rate_limiter.rs", depends_on: &["domain", "dynamodb", "repositories"], uses: &[] },
    Layer { at: "telemetry", depends_on: &["auth", "domain", "dynamodb", "invocation", "trace"], uses: &[] },
    Layer {
        at: "app.rs",
        depends_on: &[
            "auth",
            "aws",
            "config",
            "domain",
            "dynamodb",
            "rate_limiter",
            "repositories",
            "system",
            "telemetry",
        ],
        uses: &["tokio"],
    },
    Layer { at: "wire", depends_on: &["domain", "dynamodb", "repositories"], uses: &["utoipa"] },
    // The route table names the types of bodies and the indexes of the table.
    Layer { at: "endpoint", depends_on: &["domain", "dynamodb", "wire"], uses: &["utoipa"] },
    Layer { at: "page.rs", depends_on: &[], uses: &[] },
    Layer {
        at: "http",
        depends_on: &[
            "app",
            "auth",
            "config",
            "domain",
            "dynamodb",
            "endpoint",
            "invocation",
            "page",
            "rate_limiter",
            "repositories",
            "system",
            "telemetry",
            "trace",
            "wire",
        ],
        uses: &["lambda_http", "lambda_runtime", "tokio"],
    },
    // Beside `http`: a stream record is not a request.
    Layer {
        at: "worker.rs",
        depends_on: &["app", "config", "domain", "dynamodb", "invocation", "telemetry", "trace"],
        uses: &["lambda_runtime", "tokio"],
    },
];

/// Types that are HTTP, which only `http` and the route table know.
const STATUS_CODES: [&str; 3] = ["ApiError", "Response", "StatusCode"];

impl Layer {
    fn name(&self) -> &'static str {
        self.at.trim_end_matches(".rs")
    }

    /// Its files, by their paths from the root, each with its code.
    fn files(&self) -> Vec<(String, String)> {
        let mut files = Vec::new();
        collect(&source_folder().join(self.at), &mut files);
        assert!(!files.is_empty(), "shared/tests/contract/layers.rs: there is no shared/src/{}", self.at);
        let name = |file: &PathBuf| file.strip_prefix(root()).unwrap().display().to_string();
        files.iter().map(|file| (name(file), code(file))).collect()
    }
}

fn source_folder() -> PathBuf {
    root().join("shared/src")
}

/// The Rust files at a path, those of tests left out.
fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), files);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
        files.push(path.to_owned());
    }
}

/// A file's code, without its comments and tests.
fn code(file: &Path) -> String {
    let source = fs::read_to_string(file).unwrap();
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines: Vec<_> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    lines.join("\n")
}

/// The identifiers that a text is made of.
fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}

#[test]
fn every_module_belongs_to_a_layer() {
    let free = ["lib", "openapi", "testing"];
    for entry in fs::read_dir(source_folder()).unwrap() {
        let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        let known = free.contains(&name.as_str()) || LAYERS.iter().any(|layer| layer.name() == name);
        assert!(known, "shared/tests/contract/layers.rs: declare the layer `{name}`");
    }
}

#[test]
fn layers_depend_on_lower_layers_only() {
    for layer in &LAYERS {
        for (file, code) in layer.files() {
            for path in code.split("crate::").skip(1) {
                let named = words(path).next().unwrap_or_default();
                let may = named == layer.name() || layer.depends_on.contains(&named);
                assert!(may, "{file}: `{}` must not name `crate::{named}`; see shared/src/lib.rs", layer.name());
            }
            // A `mod.rs` leaves its layer by one `super`, a file below it by more than its depth.
            let depth = Path::new(&file).components().count() - Path::new("shared/src/layer").components().count();
            let leaves = code.contains(&"super::".repeat(depth.max(1) + usize::from(!file.ends_with("mod.rs"))));
            assert!(!leaves, "{file}: name another layer by `crate::`");
        }
    }
}

#[test]
fn restricted_crates_stay_in_their_layers() {
    for layer in &LAYERS {
        for (file, code) in layer.files() {
            for name in RESTRICTED_CRATES.iter().filter(|name| !layer.uses.contains(name)) {
                let named = words(&code).find(|word| word.starts_with(name));
                assert_eq!(named, None, "{file}: `{}` must do without this crate", layer.name());
            }
        }
    }
}

#[test]
fn lower_layers_know_no_status_code() {
    // `aws` has the client of AWS's services, which speaks HTTP itself.
    for layer in LAYERS.iter().filter(|layer| !["aws", "endpoint", "http"].contains(&layer.at)) {
        for (file, code) in layer.files() {
            let known = words(&code).find(|word| STATUS_CODES.contains(word));
            assert_eq!(known, None, "{file}: leave HTTP to shared/src/http/error.rs");
        }
    }
}

#[test]
fn no_function_carries_what_only_developers_need() {
    // What cargo-lambda builds: the default members together. Each line is a crate or one of its features.
    let tree = cargo(&["tree", "--edges", "normal,features", "--prefix", "none"]);
    assert!(tree.contains("\nlambda_runtime v"), "this is not the tree of the functions:\n{tree}");
    for unwanted in [
        "dynoxide",
        "utoipa",
        "proptest",
        "h2 v",
        "hyper feature \"server\"",
        "rsa v",
        "shared feature \"operator\"",
        "shared feature \"testing\"",
    ] {
        let carried = tree.lines().find(|line| line.starts_with(unwanted));
        assert_eq!(carried, None, "a function depends on it: see `cargo tree --edges normal,features -i <crate>`");
    }
}

#[test]
fn no_deployed_function_trusts_the_certificate_authority_of_the_benchmark() {
    // The files that could set it. The environment of the build could, too.
    for file in [".cargo/config.toml", "Cargo.toml", "template.yaml", ".github/workflows/ci.yml"] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let text = text.replace("check-cfg = [\"cfg(bench_root)\"]", "");
        assert!(!text.contains("bench_root"), "{file}: leave `--cfg=bench_root` to xtask/src/bench/tls.rs");
    }
    let client = fs::read_to_string(root().join("shared/src/aws/http_client.rs")).unwrap();
    let parts: Vec<_> = client.split("#[cfg(bench_root)]\n").skip(1).map(str::trim_start).collect();
    assert_eq!((parts.len(), client.matches("BENCH_ROOT_PEM").count()), (3, 1), "{parts:?}");
    assert!(parts[1].starts_with("const BENCH_ROOT:") && parts[2].starts_with("roots.add_parsable"), "{parts:?}");
}
