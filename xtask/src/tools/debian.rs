//! Programs from the packages of this Debian or Ubuntu, unpacked without being root.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{on_path, quietly};
use crate::files::create_empty_dir;

/// The commands by which a package is unpacked.
const INSTALLERS: [&str; 2] = ["apt-get", "dpkg-deb"];

/// Whether packages can be unpacked here.
pub(super) fn can_unpack() -> bool {
    INSTALLERS.iter().all(|installer| on_path(installer).is_some())
}

/// Downloads packages into a directory, and unpacks them there.
pub(super) fn unpack(packages: &[&str], home: &Path) -> Result<()> {
    // Of its own, because an attempt that failed may have left packages.
    let downloads = home.join("downloads");
    create_empty_dir(&downloads).with_context(|| format!("cannot empty {}", downloads.display()))?;
    let download = || quietly(Command::new("apt-get").arg("download").args(packages).current_dir(&downloads));
    if download().is_err() {
        // A new machine has no list of packages yet. To get one takes root.
        let update = quietly(Command::new("apt-get").arg("update"));
        let [package, ..] = packages else { return Ok(()) };
        update
            .and_then(|_| download())
            .with_context(|| format!("cannot download its package: run `sudo apt-get install {package}`"))?;
    }
    let mut unpacked = 0;
    for entry in downloads.read_dir()? {
        quietly(Command::new("dpkg-deb").arg("--extract").arg(entry?.path()).arg(home))?;
        unpacked += 1;
    }
    fs::remove_dir_all(&downloads)?;
    ensure!(unpacked == packages.len(), "apt-get has downloaded {unpacked} packages of {}", packages.len());
    Ok(())
}
