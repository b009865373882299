//! The embedded engine: DynamoDB's API in this process.
//!
//! The engine keeps its tables in `SQLite`. A second connection to the same database does what the engine itself does not:
//! it adds an index that writes to a stream need, and removes the records of a stream that have been read. DynamoDB keeps a
//! record for a day; the engine keeps it for good, so that its memory grows with every write.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use dynoxide::Database;
use dynoxide::actions::describe_stream::DescribeStreamRequest;
use dynoxide::actions::get_records::GetRecordsRequest;
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::actions::list_streams::ListStreamsRequest;
use rusqlite::{Connection, params};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

/// A running engine. Dropping it stops it.
pub struct Engine {
    url: String,
    database: Database,
    maintenance: Arc<Mutex<Connection>>,
    /// The server stops when the receiver learns that this is dropped.
    _stop: oneshot::Sender<()>,
}

impl Engine {
    /// Starts an engine that stores its tables in memory, on a free port.
    ///
    /// # Errors
    /// The reason why it cannot be started.
    pub async fn in_memory() -> Result<Self, String> {
        // A name that begins with a slash lets all connections of this process share the database (SQLite, `memdb.c`).
        Self::start(&format!("file:/{}?vfs=memdb", uuid::Uuid::new_v4()), 0).await
    }

    /// Starts an engine that stores its tables in a file. Port 0 is a free port.
    ///
    /// # Errors
    /// The reason why it cannot be started.
    pub async fn in_file(file: &Path, port: u16) -> Result<Self, String> {
        Self::start(file.to_str().ok_or("the path of the database is not UTF-8")?, port).await
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
        let removal = spawn_blocking(move || database.sweep_ttl()).await;
        removal.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    /// Removes the oldest `records` of a table's stream, for a reader that has read them and is the only one.
    ///
    /// # Errors
    /// The error of the database.
    pub async fn trim_stream(&self, table: &'static str, records: usize) -> Result<(), String> {
        const TRIM: &str = "DELETE FROM _stream_records WHERE id IN (
            SELECT id FROM _stream_records WHERE table_name = ?1 ORDER BY CAST(sequence_number AS INTEGER) LIMIT ?2)";
        let maintenance = self.maintenance.clone();
        let trimming = spawn_blocking(move || {
            let connection = maintenance.lock().unwrap_or_else(PoisonError::into_inner);
            connection.execute(TRIM, params![table, records]).map(drop)
        });
        trimming.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    /// Reads the next records of a table's stream, at most 1,000, in the JSON of Lambda's events. `iterator` is the position
    /// in the stream: `None` before the first read.
    ///
    /// # Errors
    /// The error of the engine, or a table without a stream.
    pub(super) fn read_stream(&self, table: &str, iterator: &mut Option<String>) -> Result<Vec<Value>, String> {
        let shard_iterator = match iterator.take() {
            Some(iterator) => iterator,
            None => self.first_shard_iterator(table)?,
        };
        let request = GetRecordsRequest { shard_iterator, limit: None };
        let response = self.database.get_records(request).map_err(|error| error.to_string())?;
        *iterator = response.next_shard_iterator;
        let records = response.records.iter().map(serde_json::to_value).collect::<Result<_, _>>();
        records.map_err(|error| error.to_string())
    }

    /// The iterator of the oldest record. The engine's streams have one shard.
    fn first_shard_iterator(&self, table: &str) -> Result<String, String> {
        let request = ListStreamsRequest { table_name: Some(table.to_owned()), ..ListStreamsRequest::default() };
        let list = self.database.list_streams(request).map_err(|error| error.to_string())?;
        let stream_arn = list.streams.into_iter().next().ok_or("the table has no stream")?.stream_arn;
        let request = DescribeStreamRequest { stream_arn: stream_arn.clone(), ..DescribeStreamRequest::default() };
        let description = self.database.describe_stream(request).map_err(|error| error.to_string())?.stream_description;
        let shard_id = description.shards.into_iter().next().ok_or("the stream has no shard")?.shard_id;
        let shard_iterator_type = "TRIM_HORIZON".to_owned();
        let request = GetShardIteratorRequest { stream_arn, shard_id, shard_iterator_type, sequence_number: None };
        let response = self.database.get_shard_iterator(request).map_err(|error| error.to_string())?;
        response.shard_iterator.ok_or_else(|| "the shard has no iterator".to_owned())
    }

    async fn start(path: &str, port: u16) -> Result<Self, String> {
        let database = Database::new(path).map_err(|error| error.to_string())?;
        let maintenance = Connection::open(path).map_err(|error| error.to_string())?;
        index_streams(&maintenance)?;
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database.clone(), async {
            // The sender is only ever dropped, so the result is always an error.
            let _ = stopped.await;
        }));
        let maintenance = Arc::new(Mutex::new(maintenance));
        Ok(Self { url: format!("http://{address}"), database, maintenance, _stop: stop })
    }
}

/// Adds an index that the engine lacks. With every write it looks up the last record of the table's stream by reading
/// all of them; without the index, ten thousand writes take minutes.
fn index_streams(connection: &Connection) -> Result<(), String> {
    const INDEX: &str = "CREATE INDEX IF NOT EXISTS stream_order
        ON _stream_records (table_name, CAST(sequence_number AS INTEGER))";
    connection.execute_batch(INDEX).map_err(|error| error.to_string())
}
