//! A writer of a walk, which chooses its steps at random.

use std::fmt::Display;

use fastrand::Rng;

use super::model::Model;
use super::world::World;
use crate::prove::client::Client;

/// A writer, its model and its client.
pub(super) struct Writer<'a> {
    pub(super) number: usize,
    pub(super) client: Client,
    pub(super) rng: Rng,
    pub(super) world: &'a World,
    /// What the writer has for itself.
    pub(super) model: Model,
    /// The number of keys of metadata that it has made up.
    pub(super) keys: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(number: usize, client: Client, rng: Rng, world: &'a World) -> Self {
        Self { number, client, rng, world, model: Model::default(), keys: 0 }
    }

    /// Takes this many steps, unless the walk ends before. Returns how many.
    pub(super) async fn run(&mut self, steps: usize) -> usize {
        for step in 0..steps {
            if self.world.is_over() {
                return step;
            }
            Box::pin(self.step()).await;
        }
        steps
    }

    /// Of 30 steps, 20 are on what the writer has for itself.
    async fn step(&mut self) {
        match self.rng.u8(..30) {
            0..4 => self.create_own().await,
            4..8 => self.update_own().await,
            8..10 => self.change_own_email().await,
            10..12 => self.delete_own().await,
            12..14 => self.upload_own().await,
            14..16 => self.record_own().await,
            16 => self.change_own_imports().await,
            17 => self.change_own_campaigns().await,
            18..20 => self.link_own().await,
            20..22 => self.create_shared().await,
            22..24 => self.update_shared().await,
            24 => self.change_shared_email().await,
            25 => self.delete_shared().await,
            26 => self.upload_shared().await,
            27 => self.record_shared().await,
            28 => self.link_shared().await,
            _ => self.change_shared_parents().await,
        }
    }

    /// Notes a violation.
    pub(super) fn violated(&self, text: impl Display) {
        self.world.violated(format!("writer {}: {text}", self.number));
    }
}
