pub(crate) async fn rows(
    _: &shared::http::Body,
) -> Result<std::vec::IntoIter<Result<shared::http::ContactForm, shared::domain::Violations>>, shared::ApiError> {
    todo!()
}
