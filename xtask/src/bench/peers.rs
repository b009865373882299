//! The peers: the same API in the frameworks of other languages, as their communities write it.
//!
//! They use the same table, the same keys and the same kinds of calls, check the same credential, validate, and log one line per
//! request. They have no companies, imports, `ETag`s, idempotency, rate limits or metrics, which is in their favour.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::SINGLE;
use super::results::{NODE, PYTHON};
use super::variant::{Operation, Variant};
use crate::files::{copy_files, create_empty_dir};
use crate::{tools, workspace};

/// The sources of both.
const SOURCES: &str = "xtask/bench";

/// The operations of the Node.js peer, each with the name of its module. Each is bundled for itself, as it would be deployed.
const NODE_MODULES: [(&str, &[Operation]); 4] = [
    ("create", &[Operation::Create]),
    ("update", &[Operation::Update]),
    ("get", &[Operation::Get0, Operation::Get50]),
    ("list", &[Operation::List]),
];

/// The module that runs the others.
const NODE_RUNTIME: &str = "runtime";

/// A bundle is an ES module, in which `CommonJS` packages find no `require`.
const REQUIRE: &str =
    "--banner:js=import{createRequire}from'node:module';const require=createRequire(import.meta.url);";

/// The peers. Their packages are installed on first use, at the versions of their lock files.
pub(crate) fn variants(root: &Path) -> Result<Vec<Variant>> {
    let mut variants = node(root)?;
    variants.push(python(root)?);
    Ok(variants)
}

/// The AWS SDK for JavaScript and zod, bundled by esbuild.
fn node(root: &Path) -> Result<Vec<Variant>> {
    let node_modules = tools::bench_node_modules(root)?;
    let (sources, bundles) = (root.join(SOURCES).join("node"), workspace::local_dir(root, "bench").join("node"));
    create_empty_dir(&bundles).with_context(|| format!("cannot empty {}", bundles.display()))?;
    let mut esbuild = Command::new(node_modules.join(".bin/esbuild"));
    let modules = NODE_MODULES.iter().map(|(module, _)| *module).chain([NODE_RUNTIME]);
    esbuild.args(modules.map(|module| sources.join(module).with_extension("js")));
    esbuild.args(["--bundle", "--minify", "--platform=node", "--target=node20", "--format=esm"]);
    esbuild.args(["--main-fields=module,main", "--out-extension:.js=.mjs", REQUIRE]);
    esbuild.arg(format!("--outdir={}", bundles.display())).env("NODE_PATH", &node_modules);
    tools::quietly(&mut esbuild)?;

    let bundle = |module: &str| bundles.join(module).with_extension("mjs").into_os_string();
    let variant = |(module, operations): &(&str, &[Operation])| Variant {
        name: NODE.to_owned(),
        operations: operations.to_vec(),
        command: vec![OsString::from("node"), bundle(NODE_RUNTIME), bundle(module)],
        cwd: None,
        env: Vec::new(),
    };
    Ok(NODE_MODULES.iter().map(variant).collect())
}

/// `FastAPI`, Mangum and boto3, run by AWS's runtime interface client.
fn python(root: &Path) -> Result<Variant> {
    let programs = tools::bench_python(root)?;
    // A copy, because Python writes its compiled modules beside their sources.
    let directory = workspace::local_dir(root, "bench").join("python");
    create_empty_dir(&directory).with_context(|| format!("cannot empty {}", directory.display()))?;
    copy_files(&root.join(SOURCES).join("python"), &directory)?;
    let command = [programs.join("python").into_os_string(), "-m".into(), "awslambdaric".into(), "app.handler".into()];
    Ok(Variant {
        name: PYTHON.to_owned(),
        operations: SINGLE.to_vec(),
        command: command.into(),
        cwd: Some(directory),
        env: Vec::new(),
    })
}
