//! The sections of a run. Variants live at once and take turns in random order, so that each ratio is one of numbers that were
//! taken in the same round, on the same database.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use fastrand::Rng;
use shared::testing::Tenant;
use shared::testing::fault::FaultProxy;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::check::check;
use super::function::Function;
use super::plan::{FEW_CONTACTS, Plan};
use super::results::{Metric, OURS, Results};
use super::statistics::to_f64;
use super::testbed::{CONTACTS, Scene, Testbed, seed};
use super::tls::{Authority, TlsFront};
use super::variant::{Operation, Variant};

/// The order in which variants take their turns: another one in each round.
struct TurnOrder {
    indices: Vec<usize>,
    rng: Rng,
}

/// What all sections have in common.
pub(super) struct Bench<'a> {
    pub(super) root: &'a Path,
    /// The directory for the output of functions.
    pub(super) directory: &'a Path,
    pub(super) plan: Plan,
    pub(super) variants: Vec<Variant>,
    pub(super) authority: &'a Authority,
    pub(super) progress: &'a dyn Fn(&str),
}

/// The samples of a variant, by the blocks in which it had its turns.
#[derive(Default)]
struct Turns {
    /// Microseconds of CPU per request, one sample per block.
    cpu: Vec<f64>,
    /// Microseconds, one sample per request.
    latencies: Vec<f64>,
}

impl TurnOrder {
    fn new(variants: usize) -> Self {
        Self { indices: (0..variants).collect(), rng: Rng::new() }
    }

    /// The indices of the variants in the order of the next round.
    fn next_round(&mut self) -> &[usize] {
        self.rng.shuffle(&mut self.indices);
        &self.indices
    }
}

impl Bench<'_> {
    async fn testbed(&self) -> Result<Testbed> {
        Testbed::start(self.root, &self.directory.join("functions")).await
    }

    fn variants_of(&self, operation: Operation) -> Vec<&Variant> {
        self.variants.iter().filter(|variant| variant.operations.contains(&operation)).collect()
    }

    /// Warm requests: CPU, latency, memory.
    pub(super) async fn warm(&self, operation: Operation, results: &mut Results) -> Result<()> {
        let variants = self.variants_of(operation);
        let testbed = self.testbed().await?;
        check(testbed.scene(operation)?, &variants, testbed.url()).await?;
        let scene = testbed.scene(operation)?;
        let mut functions = Vec::new();
        for variant in variants {
            let mut function = scene.start(variant).await?;
            scene.warm_up(&mut function, self.plan.warm_up).await?;
            functions.push((function, &scene));
        }
        let turns = self.take_turns(&mut functions).await?;
        for ((function, _), Turns { cpu, latencies }) in functions.iter().zip(turns) {
            results.add(Metric::Cpu, operation.name(), &function.name, cpu);
            results.add(Metric::Latency, operation.name(), &function.name, latencies);
        }
        let more = self.plan.memory_requests.checked_sub(self.plan.warm_up + self.plan.blocks * self.plan.block);
        if let Some(more) = more {
            (self.progress)(&format!("{}: memory after {} requests", operation.name(), self.plan.memory_requests));
            for (function, scene) in &mut functions {
                scene.warm_up(function, more).await?;
                let memory = mebibytes(function.process.peak_memory()?);
                results.add(Metric::Memory, operation.name(), &function.name, vec![memory]);
            }
        }
        Ok(())
    }

    /// Sends requests to these processes in blocks, in each round in another order.
    async fn take_turns(&self, functions: &mut [(Function, &Scene<'_>)]) -> Result<Vec<Turns>> {
        let mut turns: Vec<_> = functions.iter().map(|_| Turns::default()).collect();
        let mut order = TurnOrder::new(functions.len());
        for _ in 0..self.plan.blocks {
            for index in order.next_round() {
                let (function, scene) = &mut functions[*index];
                let before = function.process.cpu_time()?;
                for _ in 0..self.plan.block {
                    let response = scene.invoke(function).await?;
                    turns[*index].latencies.push(micros(response.latency));
                }
                let cpu = function.process.cpu_time()?.saturating_sub(before);
                turns[*index].cpu.push(micros(cpu) / to_f64(self.plan.block));
            }
        }
        Ok(turns)
    }

    /// Starts over TLS.
    pub(super) async fn start(&self, operation: Operation, results: &mut Results) -> Result<()> {
        let variants = self.variants_of(operation);
        let testbed = self.testbed().await?;
        check(testbed.scene(operation)?, &variants, testbed.url()).await?;
        let front = TlsFront::start(self.authority, testbed.url()).await?;
        let scene = testbed.scene(operation)?.with_database(&front.url);
        let scene = scene.with_certificate_authority(&self.authority.file);
        let mut samples: Vec<_> = variants.iter().map(|_| [Vec::new(), Vec::new(), Vec::new()]).collect();
        let mut order = TurnOrder::new(variants.len());
        // The first start of a program reads it from the disk, and does not count.
        for round in 0..=self.plan.starts {
            for index in order.next_round() {
                let mut function = scene.start(variants[*index]).await?;
                scene.invoke(&mut function).await?;
                if round > 0 {
                    let [start, first, latency] = &mut samples[*index];
                    start.push(millis(function.start_cpu));
                    first.push(millis(function.process.cpu_time()?));
                    latency.push(millis(function.start_latency));
                }
            }
        }
        for (variant, [start, first, latency]) in variants.iter().zip(samples) {
            results.add(Metric::StartCpu, operation.name(), &variant.name, start);
            results.add(Metric::FirstResponseCpu, operation.name(), &variant.name, first);
            results.add(Metric::StartLatency, operation.name(), &variant.name, latency);
        }
        Ok(())
    }

    /// Warm requests of a small and a large organization, in one table.
    pub(super) async fn growth(&self, operations: &[Operation], results: &mut Results) -> Result<()> {
        let testbed = self.testbed().await?;
        let (small, large) = (&testbed.app.org, &testbed.app.other);
        let upload = self.variant(OURS, Operation::Bulk)?;
        let mut organizations = Vec::new();
        for (tenant, count, contacts) in [
            (small, FEW_CONTACTS, testbed.contacts.clone()),
            (large, self.plan.many_contacts, seed(&testbed.app, large).await?),
        ] {
            (self.progress)(&format!("growth: storing {count} contacts"));
            load(&testbed, tenant, upload, count - CONTACTS).await?;
            organizations.push((tenant, contacts, format!("{count} contacts")));
        }
        for operation in operations {
            (self.progress)(&format!("growth: {}", operation.name()));
            let variant = self.variant(OURS, *operation)?;
            let mut scenes = Vec::new();
            for (tenant, contacts, label) in &organizations {
                check(testbed.scene_of(*operation, tenant, contacts)?, &[variant], testbed.url()).await?;
                scenes.push((testbed.scene_of(*operation, tenant, contacts)?, label));
            }
            let mut functions = Vec::new();
            for (scene, _) in &scenes {
                let mut function = scene.start(variant).await?;
                scene.warm_up(&mut function, self.plan.warm_up).await?;
                functions.push((function, scene));
            }
            for (turns, (_, label)) in self.take_turns(&mut functions).await?.into_iter().zip(&scenes) {
                results.add(Metric::GrowthCpu, operation.name(), label, turns.cpu);
            }
            drop(functions);
            for (scene, label) in scenes {
                let calls = count_calls(scene, variant, testbed.url()).await?;
                results.add(Metric::GrowthCalls, operation.name(), label, vec![calls]);
            }
        }
        Ok(())
    }

    /// Bulk uploads of new contacts.
    pub(super) async fn bulk(&self, results: &mut Results) -> Result<()> {
        let variants = self.variants_of(Operation::Bulk);
        for rows in self.plan.upload_rows {
            let testbed = self.testbed().await?;
            check(testbed.scene(Operation::Bulk)?.with_rows(*rows), &variants, testbed.url()).await?;
            let scene = testbed.scene(Operation::Bulk)?.with_rows(*rows);
            let mut functions = Vec::new();
            for variant in &variants {
                functions.push(scene.start(variant).await?);
            }
            let mut samples: Vec<_> = variants.iter().map(|_| (Vec::new(), Vec::new())).collect();
            let mut order = TurnOrder::new(variants.len());
            // The first upload fills the caches, and does not count.
            for round in 0..=self.plan.uploads {
                for index in order.next_round() {
                    let function = &mut functions[*index];
                    let before = function.process.cpu_time()?;
                    let response = scene.invoke(function).await?;
                    let cpu = function.process.cpu_time()?.saturating_sub(before);
                    if round > 0 {
                        let (rates, cpus) = &mut samples[*index];
                        rates.push(to_f64(*rows) / response.latency.as_secs_f64());
                        cpus.push(micros(cpu) / to_f64(*rows));
                    }
                }
            }
            let case = format!("{rows} rows");
            for (function, (rates, cpus)) in functions.iter().zip(samples) {
                results.add(Metric::BulkRate, &case, &function.name, rates);
                results.add(Metric::BulkCpu, &case, &function.name, cpus);
                let memory = mebibytes(function.process.peak_memory()?);
                results.add(Metric::Memory, &format!("bulk of {case}"), &function.name, vec![memory]);
            }
        }
        Ok(())
    }

    /// Sizes of the programs, and of their zip archives. A peer's program is its interpreter, which says nothing.
    pub(super) fn size(&self, operations: &[Operation], results: &mut Results) -> Result<()> {
        for variant in self.variants.iter().filter(|variant| variant.command.len() == 1) {
            let Some(program) = variant.command.first().map(Path::new) else { continue };
            let is_floor = !operations.iter().any(|operation| program.ends_with(operation.function()));
            let mut functions: Vec<_> = variant.operations.iter().map(|operation| operation.function()).collect();
            functions.dedup();
            let (size, zip_size) = sizes(program)?;
            for function in if is_floor { functions } else { functions.into_iter().take(1).collect() } {
                results.add(Metric::Size, function, &variant.name, vec![size]);
                results.add(Metric::ZipSize, function, &variant.name, vec![zip_size]);
            }
        }
        Ok(())
    }

    fn variant(&self, name: &str, operation: Operation) -> Result<&Variant> {
        let variant = self.variants_of(operation).into_iter().find(|variant| variant.name == name);
        variant.with_context(|| format!("there is no variant {name} for {}", operation.name()))
    }
}

/// Stores new contacts of an organization by uploads.
async fn load(testbed: &Testbed, tenant: &Tenant, upload: &Variant, contacts: usize) -> Result<()> {
    const ROWS: usize = 5_000;
    let mut left = contacts;
    while left > 0 {
        let rows = left.min(ROWS);
        let scene = testbed.scene_of(Operation::Bulk, tenant, &[])?.with_rows(rows);
        let mut function = scene.start(upload).await?;
        scene.invoke(&mut function).await?;
        left -= rows;
    }
    Ok(())
}

/// The database calls of a warm request.
async fn count_calls(scene: Scene<'_>, variant: &Variant, engine: &str) -> Result<f64> {
    const REQUESTS: usize = 20;
    let proxy = FaultProxy::start(engine).await?;
    let scene = scene.with_database(&proxy.endpoint());
    let mut function = scene.start(variant).await?;
    scene.warm_up(&mut function, 1).await?;
    proxy.take_calls();
    scene.warm_up(&mut function, REQUESTS).await?;
    Ok(to_f64(proxy.take_calls().len()) / to_f64(REQUESTS))
}

/// The size of a file and that of a zip archive with it, in megabytes.
fn sizes(program: &Path) -> Result<(f64, f64)> {
    let content = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("bootstrap", SimpleFileOptions::default().compression_level(Some(9)))?;
    zip.write_all(&content)?;
    let zip_size = zip.finish()?.into_inner().len();
    Ok((to_f64(content.len()) / 1e6, to_f64(zip_size) / 1e6))
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Mebibytes of kibibytes.
fn mebibytes(kibibytes: u64) -> f64 {
    to_f64(usize::try_from(kibibytes).unwrap_or(usize::MAX)) / 1024.0
}
