//! The embedded engine: DynamoDB's API in this process.

use std::path::Path;

use dynoxide::Database;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A running engine. It ends when this is dropped.
pub struct Engine {
    url: String,
    database: Database,
    /// Dropping it is the signal to stop.
    _stop: oneshot::Sender<()>,
}

impl Engine {
    /// An engine that forgets, on a free port.
    ///
    /// # Errors
    /// What kept it from starting.
    pub async fn in_memory() -> Result<Self, String> {
        let database = Database::memory().map_err(|error| error.to_string())?;
        let snapshot = std::env::temp_dir().join(format!("{}.sqlite", uuid::Uuid::new_v4()));
        let prepared = prepare(&database, &snapshot);
        // It has served, or it is not there.
        let _ = std::fs::remove_file(&snapshot);
        prepared?;
        Self::start(database, 0).await
    }

    /// An engine that keeps its tables in a file; a port of 0 is a free one.
    ///
    /// # Errors
    /// What kept it from starting.
    pub async fn in_file(file: &Path, port: u16) -> Result<Self, String> {
        let path = file.to_str().ok_or("the database's path is no UTF-8")?;
        let database = Database::new(path).map_err(|error| error.to_string())?;
        index_stream(file)?;
        Self::start(database, port).await
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Removes the items that have expired, which DynamoDB does by itself, sooner or later. Gives their number.
    ///
    /// # Errors
    /// The engine's.
    pub async fn remove_expired(&self) -> Result<usize, String> {
        let database = self.database.clone();
        let swept = tokio::task::spawn_blocking(move || database.sweep_ttl()).await;
        swept.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    async fn start(database: Database, port: u16) -> Result<Self, String> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database.clone(), async {
            // Either way of hearing of it is the end: nobody sends.
            let _ = stopped.await;
        }));
        Ok(Self { url: format!("http://{address}"), database, _stop: stop })
    }
}

/// Gives an engine in memory, which nothing else can open, what [`index_stream`] gives one in a file.
fn prepare(database: &Database, snapshot: &Path) -> Result<(), String> {
    let path = snapshot.to_str().ok_or("the temporary directory's path is no UTF-8")?;
    database.vacuum_into(path).map_err(|error| error.to_string())?;
    index_stream(snapshot)?;
    database.restore_from(path).map_err(|error| error.to_string())
}

/// With every write the engine looks for the last record of the table's stream, by reading them all: without an index
/// ten thousand writes take minutes.
fn index_stream(file: &Path) -> Result<(), String> {
    const INDEX: &str = "CREATE INDEX IF NOT EXISTS stream_order
        ON _stream_records (table_name, CAST(sequence_number AS INTEGER))";
    let connection = rusqlite::Connection::open(file).map_err(|error| error.to_string())?;
    connection.execute_batch(INDEX).map_err(|error| error.to_string())
}
