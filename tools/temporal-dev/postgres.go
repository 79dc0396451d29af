package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"strings"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/persistence"
	"go.temporal.io/server/common/persistence/sql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql"
	"go.temporal.io/server/common/resolver"
	"go.temporal.io/server/schema"
	v12 "go.temporal.io/server/schema/postgresql/v12"
)

// openPostgres uses the database that the URL names, and for visibility the one of that name with
// "_visibility" behind it. Both are created with the schema where there are none; a schema that is
// not this server's is refused. The role must be allowed to create databases, or find them there.
func openPostgres(address string) (*store, error) {
	parsed, err := url.Parse(address)
	if err != nil || (parsed.Scheme != "postgres" && parsed.Scheme != "postgresql") {
		return nil, errors.New("--postgres-url must read postgres://user:password@host:port/database")
	}
	name := strings.TrimPrefix(parsed.Path, "/")
	if parsed.Hostname() == "" || name == "" {
		return nil, errors.New("--postgres-url must name a host and a database")
	}
	port := parsed.Port()
	if port == "" {
		port = "5432"
	}
	password, _ := parsed.User.Password()
	attributes := map[string]string{}
	for key, values := range parsed.Query() {
		attributes[key] = values[0]
	}
	database := func(name string) config.SQL {
		return config.SQL{
			PluginName:        postgresql.PluginName,
			User:              parsed.User.Username(),
			Password:          password,
			ConnectAddr:       net.JoinHostPort(parsed.Hostname(), port),
			ConnectProtocol:   "tcp",
			ConnectAttributes: attributes,
			DatabaseName:      name,
			MaxConns:          20,
			MaxIdleConns:      20,
		}
	}
	visibility := database(name + "_visibility")
	opened := &store{
		sql:           database(name),
		visibility:    &visibility,
		historyShards: 4,
		description:   fmt.Sprintf("PostgreSQL at %s, database %s", parsed.Host, name),
	}
	if err := errors.Join(
		setUpPostgres(opened.sql, "temporal", v12.Version),
		setUpPostgres(visibility, "visibility", v12.VisibilityVersion),
	); err != nil {
		return nil, err
	}
	return opened, nil
}

// setUpPostgres creates the database where there is none and the schema where it is empty.
func setUpPostgres(database config.SQL, part, version string) error {
	tables, err := listTables(database)
	if err != nil {
		// Most likely there is no such database; if it is something else, creating it fails too.
		if createErr := createDatabase(database); createErr != nil {
			return fmt.Errorf("cannot use or create database %s: %w", database.DatabaseName, createErr)
		}
	}
	db, err := openAdmin(database)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if len(tables) > 0 {
		found, err := db.ReadSchemaVersion(database.DatabaseName)
		if err != nil {
			return fmt.Errorf("database %s holds something else: %w", database.DatabaseName, err)
		}
		if found != version {
			return fmt.Errorf(
				"database %s has schema %s, this server needs %s: bring it there with temporal-sql-tool",
				database.DatabaseName, found, version,
			)
		}
		return nil
	}
	source, err := fs.ReadFile(schema.Assets(), "postgresql/v12/"+part+"/schema.sql")
	if err != nil {
		return err
	}
	statements, err := persistence.LoadAndSplitQueryFromReaders([]io.Reader{bytes.NewReader(source)})
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if err := db.Exec(statement); err != nil {
			return fmt.Errorf("database %s: %w", database.DatabaseName, err)
		}
	}
	return errors.Join(
		db.CreateSchemaVersionTables(),
		db.UpdateSchemaVersion(database.DatabaseName, version, version),
	)
}

// listTables opens a connection of its own: one that has failed once is not tried again at once.
func listTables(database config.SQL) ([]string, error) {
	db, err := openAdmin(database)
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	return db.ListTables(database.DatabaseName)
}

func createDatabase(database config.SQL) error {
	name := database.DatabaseName
	database.DatabaseName = "" // the server's own
	db, err := openAdmin(database)
	if err != nil {
		return err
	}
	return errors.Join(db.CreateDatabase(name), db.Close())
}

func openAdmin(database config.SQL) (sqlplugin.AdminDB, error) {
	return sql.NewSQLAdminDB(
		sqlplugin.DbKindUnknown, &database, resolver.NewNoopResolver(), log.NewNoopLogger(), metrics.NoopMetricsHandler,
	)
}
