//! The columns of `licenses`: the only list from which statements are built.

/// One column, in the place of its parameter.
pub(crate) struct Column {
    name: &'static str,
    kind: Kind,
    /// Which indexes have the column. Those that change are written by a statement of their own.
    pub(crate) indexed: Indexed,
}

/// Which indexes have a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Indexed {
    /// None.
    No,
    /// Small ones, which change when slots are taken or freed.
    BySlots,
    /// Others.
    Yes,
}

enum Kind {
    Int,
    Text,
    Bytes,
}

const fn int(name: &'static str) -> Column {
    Column { name, kind: Kind::Int, indexed: Indexed::No }
}

const fn text(name: &'static str) -> Column {
    Column { name, kind: Kind::Text, indexed: Indexed::No }
}

const fn bytes(name: &'static str) -> Column {
    Column { name, kind: Kind::Bytes, indexed: Indexed::No }
}

impl Column {
    const fn indexed(self) -> Self {
        Self { indexed: Indexed::Yes, ..self }
    }

    const fn indexed_by_slots(self) -> Self {
        Self { indexed: Indexed::BySlots, ..self }
    }
}

/// The columns, in the order of [`license_values`](crate::sql::rows::license_values). The first is the id.
pub(crate) const COLUMNS: [Column; 34] = [
    text("id"),
    bytes("key_digest").indexed(),
    bytes("sealed_key"),
    text("state").indexed(),
    text("product").indexed(),
    text("plan").indexed(),
    text("customer_email").indexed(),
    int("max_domains"),
    int("max_devices"),
    int("domains_used"),
    int("devices_used"),
    int("created_at"),
    int("activated_at").indexed_by_slots(),
    int("expires_at").indexed(),
    text("metadata"),
    int("version"),
    int("last_event"),
    int("expiry_notice_days").indexed(),
    int("expiry_notice_at").indexed(),
    text("customer_name"),
    text("external_id").indexed(),
    text("customer_domain").indexed(),
    int("at_limit").indexed_by_slots(),
    int("ends_at").indexed(),
    int("anchor_day"),
    text("term_starts"),
    int("term_started_at"),
    int("updates_until"),
    text("grants"),
    text("state_reason"),
    text("blocks"),
    int("plan_version").indexed(),
    text("overrides"),
    int("leased_until").indexed_by_slots(),
];

/// The names, separated by commas.
pub(crate) fn names() -> String {
    listed(COLUMNS.iter().map(|column| column.name.to_owned()))
}

/// The list after `SET` of an `UPDATE` of the row with the id in `$1`.
pub(crate) fn assignments(is_written: impl Fn(&Column) -> bool) -> String {
    let columns = COLUMNS.iter().enumerate().skip(1).filter(|(_, column)| is_written(column));
    listed(columns.map(|(index, column)| format!("{} = ${}", column.name, index + 1)))
}

/// The columns of a JSON row `value`, bytes in hex. `unhex` is the SQL of bytes of a text in hex.
pub(crate) fn of_json_row(unhex: impl Fn(&str) -> String) -> String {
    listed(COLUMNS.iter().enumerate().map(|(n, column)| match column.kind {
        Kind::Int => format!("#{n}"),
        Kind::Text => format!("value ->> {n}"),
        Kind::Bytes => unhex(&format!("value ->> {n}")),
    }))
}

fn listed(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}
