//! Requests through the server of the page.

use super::{CONTENT, PAGE};

shared::every_page!(PAGE, CONTENT);
