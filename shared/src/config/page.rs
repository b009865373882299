//! The configuration of a page's function.

use super::{BasePath, ConfigError};

/// The configuration of a page's function, which reads neither a table nor a credential.
#[derive(Debug, Clone, Default)]
pub struct PageConfig {
    /// `BASE_PATH`
    pub base_path: BasePath,
    /// `METRICS_NAMESPACE`: the CloudWatch namespace of the metrics in log lines; `None` logs none.
    pub metrics_namespace: Option<String>,
}

impl PageConfig {
    /// Reads the environment variables of the process. A blank variable counts as not set.
    ///
    /// # Errors
    /// [`ConfigError::InvalidBasePath`]
    pub fn from_env() -> Result<Self, ConfigError> {
        let optional = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let base_path = optional("BASE_PATH").unwrap_or_default().parse()?;
        Ok(Self { base_path, metrics_namespace: optional("METRICS_NAMESPACE") })
    }
}
