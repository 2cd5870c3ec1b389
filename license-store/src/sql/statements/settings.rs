//! SQL on settings, and on the connection itself.

statements! {
    SettingStatements {
        insert: "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING name",
        get: "SELECT value FROM settings WHERE name = $1",
        list: "SELECT name, value FROM settings WHERE name >= $1 AND name < $2 ORDER BY name",
        ping: "SELECT 1",
        replace: "UPDATE settings SET value = $3 WHERE name = $1 AND value = $2 RETURNING name",
    }
}
