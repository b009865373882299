//! Programs from the packages of this Debian or Ubuntu, unpacked without being root.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{on_path, quietly};

/// The commands that it takes.
const INSTALLERS: [&str; 2] = ["apt-get", "dpkg-deb"];

/// Whether packages can be unpacked here.
pub(super) fn can_unpack() -> bool {
    INSTALLERS.iter().all(|installer| on_path(installer).is_some())
}

/// Downloads packages into a directory, and unpacks them there.
pub(super) fn unpack(packages: &[&str], home: &Path) -> Result<()> {
    let download = || quietly(Command::new("apt-get").arg("download").args(packages).current_dir(home));
    if download().is_err() {
        // A new machine has no list of packages yet. To get one takes root.
        let update = quietly(Command::new("apt-get").arg("update"));
        let [package, ..] = packages else { return Ok(()) };
        update
            .and_then(|_| download())
            .with_context(|| format!("cannot download its package: run `sudo apt-get install {package}`"))?;
    }
    let mut unpacked = 0;
    for entry in home.read_dir()? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            quietly(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(home))?;
            fs::remove_file(file)?;
            unpacked += 1;
        }
    }
    ensure!(unpacked == packages.len(), "apt-get has downloaded {unpacked} packages of {}", packages.len());
    Ok(())
}
