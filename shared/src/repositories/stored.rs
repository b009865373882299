//! Entities that are read from items.

use super::Result;
use crate::dynamodb::StoredItem;
use crate::dynamodb::keys::Key;
use crate::dynamodb::table_client::StoredRow;

/// An entity with an item of its own.
pub(super) trait Stored: Sized + Send + 'static {
    /// Reads the entity from its item.
    fn from_item(item: &StoredItem<'_>) -> Result<Self>;
}

impl<T: Stored> StoredRow for Result<T> {
    fn from_item(item: &StoredItem<'_>) -> Self {
        T::from_item(item)
    }
}

/// An entity with the key of its item, by which a list knows an item even if it cannot be read.
impl<T: Stored> StoredRow for (Option<Key>, Result<T>) {
    fn from_item(item: &StoredItem<'_>) -> Self {
        (item.key(), T::from_item(item))
    }
}
