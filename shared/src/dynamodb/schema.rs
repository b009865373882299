//! The definition of the table: its key, its indexes, its stream and its time to live.
//!
//! `setup` creates the tables of tests and `cargo dev` from it. The template repeats it for the deployed table; a contract
//! test compares the two.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, StreamSpecification, StreamViewType, TimeToLiveSpecification,
};

use super::item::expect_built;

/// The partition key's attribute.
pub const PK: &str = "pk";
/// The sort key's attribute.
pub const SK: &str = "sk";
/// The attribute after whose time, in epoch seconds, DynamoDB removes an item. The removal may be days late, so readers check
/// the time themselves.
pub const TTL: &str = "expires_at";

/// A global secondary index: its name and its key attributes.
#[derive(Debug, Clone, Copy)]
pub struct Index {
    /// The name.
    pub name: &'static str,
    /// The attribute of its partition key.
    pub pk: &'static str,
    /// The attribute of its sort key.
    pub sk: &'static str,
}

/// Leads by campaign, API keys by organization, and the organizations.
pub const GSI1: Index = Index { name: "gsi1", pk: "gsi1pk", sk: "gsi1sk" };
/// Leads by their id.
pub const GSI2: Index = Index { name: "gsi2", pk: "gsi2pk", sk: "gsi2sk" };

/// The attributes of the table's key and of its indexes.
pub fn attribute_definitions() -> Vec<AttributeDefinition> {
    [PK, SK, GSI1.pk, GSI1.sk, GSI2.pk, GSI2.sk].map(string_attribute).into()
}

/// The table's key.
pub fn key_schema() -> Vec<KeySchemaElement> {
    schema(PK, SK)
}

/// The table's indexes, which hold keys only.
pub fn indexes() -> Vec<GlobalSecondaryIndex> {
    [GSI1, GSI2].map(global_index).into()
}

/// The table's billing mode.
pub fn billing_mode() -> BillingMode {
    BillingMode::PayPerRequest
}

/// The table's stream, which the worker reads.
pub fn stream() -> StreamSpecification {
    let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewAndOldImages);
    expect_built(stream.build())
}

/// The table's time to live.
pub fn time_to_live() -> TimeToLiveSpecification {
    expect_built(TimeToLiveSpecification::builder().enabled(true).attribute_name(TTL).build())
}

fn string_attribute(name: &str) -> AttributeDefinition {
    expect_built(AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build())
}

fn schema(pk: &str, sk: &str) -> Vec<KeySchemaElement> {
    let element =
        |name: &str, kind| expect_built(KeySchemaElement::builder().attribute_name(name).key_type(kind).build());
    vec![element(pk, KeyType::Hash), element(sk, KeyType::Range)]
}

fn global_index(index: Index) -> GlobalSecondaryIndex {
    let projection = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
    let builder = GlobalSecondaryIndex::builder().index_name(index.name).projection(projection);
    expect_built(builder.set_key_schema(Some(schema(index.pk, index.sk))).build())
}
