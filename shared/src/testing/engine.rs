//! The embedded engine: DynamoDB's API in this process.

use std::path::Path;

use dynoxide::Database;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A running engine. Dropping it stops it.
pub struct Engine {
    url: String,
    database: Database,
    /// The server stops when the receiver learns that this is dropped.
    _stop: oneshot::Sender<()>,
}

impl Engine {
    /// Starts an engine that stores its tables in memory, on a free port.
    ///
    /// # Errors
    /// The reason why it cannot be started.
    pub async fn in_memory() -> Result<Self, String> {
        let database = Database::memory().map_err(|error| error.to_string())?;
        let snapshot = std::env::temp_dir().join(format!("{}.sqlite", uuid::Uuid::new_v4()));
        let indexed = index_streams_in_memory(&database, &snapshot);
        // The file does not exist if the snapshot failed, and then the error below is the one to report.
        let _ = std::fs::remove_file(&snapshot);
        indexed?;
        Self::start(database, 0).await
    }

    /// Starts an engine that stores its tables in a file. Port 0 is a free port.
    ///
    /// # Errors
    /// The reason why it cannot be started.
    pub async fn in_file(file: &Path, port: u16) -> Result<Self, String> {
        let path = file.to_str().ok_or("the path of the database is not UTF-8")?;
        let database = Database::new(path).map_err(|error| error.to_string())?;
        index_streams(file)?;
        Self::start(database, port).await
    }

    /// The URL of the engine.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Removes the items whose time to live is over and returns their number. DynamoDB does this on its own within days.
    ///
    /// # Errors
    /// The error of the engine.
    pub async fn remove_expired(&self) -> Result<usize, String> {
        let database = self.database.clone();
        let removal = tokio::task::spawn_blocking(move || database.sweep_ttl()).await;
        removal.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    async fn start(database: Database, port: u16) -> Result<Self, String> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database.clone(), async {
            // The sender is only ever dropped, so the result is always an error.
            let _ = stopped.await;
        }));
        Ok(Self { url: format!("http://{address}"), database, _stop: stop })
    }
}

/// Adds the index of [`index_streams`] to an engine in memory. Its database cannot be opened from outside, so it is
/// saved to a file, indexed there, and loaded again.
fn index_streams_in_memory(database: &Database, snapshot: &Path) -> Result<(), String> {
    let path = snapshot.to_str().ok_or("the path of the temporary directory is not UTF-8")?;
    database.vacuum_into(path).map_err(|error| error.to_string())?;
    index_streams(snapshot)?;
    database.restore_from(path).map_err(|error| error.to_string())
}

/// Adds an index that the engine lacks. With every write it looks up the last record of the table's stream by reading
/// all of them; without the index, ten thousand writes take minutes.
fn index_streams(file: &Path) -> Result<(), String> {
    const INDEX: &str = "CREATE INDEX IF NOT EXISTS stream_order
        ON _stream_records (table_name, CAST(sequence_number AS INTEGER))";
    let connection = rusqlite::Connection::open(file).map_err(|error| error.to_string())?;
    connection.execute_batch(INDEX).map_err(|error| error.to_string())
}
