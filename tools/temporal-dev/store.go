package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/persistence"
	"go.temporal.io/server/common/persistence/serialization"
	"go.temporal.io/server/common/persistence/sql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/resolver"
	"go.temporal.io/server/common/searchattribute/sadefs"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"
)

// store is the database that holds everything: executions and their visibility. A further kind of
// database is a further function that returns one.
type store struct {
	sql           config.SQL
	visibility    *config.SQL // nil: the same database
	historyShards int32       // as many as when the database was new
	description   string
	onClose       string // last statement before the process ends
	isSQLite      bool
}

// openSQLite opens the file, which it creates with the schema where there is none; an empty name
// means memory.
func openSQLite(file string, pragmas map[string]string) (*store, error) {
	opened := &store{
		sql:           config.SQL{PluginName: sqlite.PluginName, ConnectAttributes: maps.Clone(pragmas)},
		historyShards: 1,
		isSQLite:      true,
	}
	if file == "" {
		// The schema is made with the connection, and the connection lasts as long as the process.
		opened.sql.DatabaseName = "temporal-dev"
		opened.sql.ConnectAttributes["mode"] = "memory"
		opened.sql.ConnectAttributes["cache"] = "shared"
		opened.description = "in memory"
		return opened, nil
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	opened.sql.DatabaseName = (&url.URL{Path: path}).EscapedPath() // becomes part of a URI
	opened.sql.ConnectAttributes["mode"] = "rwc"
	opened.description = path
	opened.onClose = "PRAGMA wal_checkpoint(TRUNCATE)"
	found, err := os.Stat(path)
	if err == nil && found.Size() > 0 {
		return opened, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err := sqliteschema.SetupSchema(&opened.sql); err != nil {
		return nil, fmt.Errorf("cannot create %s: %w", path, err)
	}
	return opened, nil
}

func (s *store) persistence() config.Persistence {
	visibility := s.visibility
	if visibility == nil {
		visibility = &s.sql
	}
	return config.Persistence{
		DefaultStore:     "store",
		VisibilityStore:  "visibility",
		NumHistoryShards: s.historyShards,
		DataStores: map[string]config.DataStore{
			"store":      {SQL: &s.sql},
			"visibility": {SQL: visibility},
		},
	}
}

// close is for the time when the server has stopped.
func (s *store) close() {
	if s.onClose == "" {
		return
	}
	db, err := sql.NewSQLAdminDB(sqlplugin.DbKindUnknown, &s.sql, resolver.NewNoopResolver(), log.NewNoopLogger(), metrics.NoopMetricsHandler)
	if err == nil {
		err = errors.Join(db.Exec(s.onClose), db.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "temporal-dev: closing the database:", err)
	}
}

// ensureNamespace makes the namespace, or raises the retention of one that exists and adds the
// search attributes it lacks. It works on the database itself, so that the first client to reach
// the server finds everything in place.
func (s *store) ensureNamespace(
	ctx context.Context,
	logger log.Logger,
	name string,
	retention time.Duration,
	attributes map[string]enumspb.IndexedValueType,
) error {
	manager, err := s.namespaces(logger)
	if err != nil {
		return err
	}
	var isMissing *serviceerror.NamespaceNotFound
	existing, err := manager.GetNamespace(ctx, &persistence.GetNamespaceRequest{Name: name})
	if errors.As(err, &isMissing) {
		created, err := sqliteschema.NewNamespaceConfig(clusterName, name, false, attributes)
		if err != nil {
			return err
		}
		created.Detail.Config.Retention = durationpb.New(retention)
		_, err = manager.CreateNamespace(ctx, &persistence.CreateNamespaceRequest{Namespace: created.Detail})
		return err
	}
	if err != nil {
		return err
	}

	conf := existing.Namespace.Config
	isShort := conf.Retention.AsDuration() < retention
	if isShort {
		conf.Retention = durationpb.New(retention)
	}
	if conf.CustomSearchAttributeAliases == nil {
		conf.CustomSearchAttributeAliases = map[string]string{}
	}
	added, err := addSearchAttributes(conf.CustomSearchAttributeAliases, attributes)
	if err != nil || (!isShort && !added) {
		return err
	}
	current, err := manager.GetMetadata(ctx)
	if err != nil {
		return err
	}
	return manager.UpdateNamespace(ctx, &persistence.UpdateNamespaceRequest{
		Namespace:           existing.Namespace,
		IsGlobalNamespace:   existing.IsGlobalNamespace,
		NotificationVersion: current.NotificationVersion,
	})
}

func (s *store) namespaces(logger log.Logger) (persistence.MetadataManager, error) {
	serializer := serialization.NewSerializer()
	factory := sql.NewFactory(s.sql, resolver.NewNoopResolver(), clusterName, logger, metrics.NoopMetricsHandler, serializer)
	metadata, err := factory.NewMetadataStore()
	if err != nil {
		return nil, err
	}
	return persistence.NewMetadataManagerImpl(metadata, serializer, logger, clusterName), nil
}

// addSearchAttributes gives each attribute that has none a free column of its type. aliases maps
// columns to the names of attributes.
func addSearchAttributes(aliases map[string]string, attributes map[string]enumspb.IndexedValueType) (bool, error) {
	columns := sadefs.GetDBIndexSearchAttributes(nil).CustomSearchAttributes
	columnOf := make(map[string]string, len(aliases))
	for column, name := range aliases {
		columnOf[name] = column
	}
	added := false
	for name, kind := range attributes {
		if column, found := columnOf[name]; found {
			if columns[column] != kind {
				return added, fmt.Errorf("search attribute %s is %s, not %s", name, columns[column], kind)
			}
			continue
		}
		free := ""
		for _, column := range slices.Sorted(maps.Keys(columns)) {
			if columns[column] == kind && aliases[column] == "" {
				free = column
				break
			}
		}
		if free == "" {
			return added, fmt.Errorf("no room for search attribute %s: every %s column is taken", name, kind)
		}
		aliases[free] = name
		added = true
	}
	return added, nil
}
