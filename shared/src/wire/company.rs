//! Companies: the filter of their list, and the view in responses.

use serde::Serialize;

use super::param;
use super::query::{FromQuery, Query};
use super::view::Resource;
use crate::domain::{Company, CompanyFilter, CompanyId, CompanyName, OrgId, ValidationErrors, time};

/// A company.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Company))]
pub struct CompanyView<'a> {
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    id: CompanyId,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid", examples("123e4567-e89b-12d3-a456-426614174000")))]
    org_id: OrgId,
    #[cfg_attr(feature = "openapi", schema(value_type = CompanyName, inline))]
    name: &'a CompanyName,
    #[cfg_attr(feature = "openapi", schema(format = "date-time", examples("2024-10-06T12:00:00Z")))]
    created_at: String,
}

impl<'a> CompanyView<'a> {
    /// The view of a company.
    fn of(company: &'a Company) -> Self {
        let Company { id, org_id, name, created_at } = company;
        Self { id: *id, org_id: *org_id, name, created_at: time::to_seconds(*created_at) }
    }
}

impl Resource for Company {
    fn view(&self) -> impl Serialize {
        CompanyView::of(self)
    }
}

impl FromQuery for CompanyFilter {
    fn read(query: &Query, errors: &mut ValidationErrors) -> Self {
        Self { name: query.read(errors, &param::NAME, str::parse) }
    }
}
