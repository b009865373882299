//! `handle` behind the whole way of a request, on a table of its own.

use shared::Endpoint;

use super::handle;

const ENDPOINT: Endpoint = Endpoint::BulkUploadContacts;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, leases
);
