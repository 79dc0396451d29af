package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/persistence"
	"go.temporal.io/server/common/persistence/sql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	"go.temporal.io/server/common/resolver"
	"go.temporal.io/server/common/searchattribute/sadefs"
)

// seldomUsed are indexes of the server's schema by what is hardly ever looked for in development:
// sizes and durations, and columns of parts of the server that few workflows have. Without its
// index a column is still found by, in as long as the namespace is large.
var seldomUsed = []string{
	"by_execution_time", "by_history_length", "by_history_size_bytes", "by_execution_duration",
	"by_state_transition_count", "by_task_queue", "by_parent_run_id", "by_root_run_id",
	"by_batcher_user", "by_temporal_scheduled_start_time", "by_temporal_schedule_paused",
	"by_temporal_pause_info", "by_temporal_worker_deployment_version",
	"by_temporal_workflow_versioning_behavior", "by_temporal_worker_deployment",
	"by_temporal_bool_01", "by_temporal_bool_02", "by_temporal_datetime_01", "by_temporal_datetime_02",
	"by_temporal_double_01", "by_temporal_double_02", "by_temporal_int_01", "by_temporal_int_02",
	"by_temporal_keyword_01", "by_temporal_keyword_02", "by_temporal_keyword_03",
	"by_temporal_keyword_04", "by_temporal_low_cardinality_keyword_01",
}

// indexWhatIsUsed leaves the table of visibility with the indexes that somebody looks by: those of
// the standard columns that lists are narrowed by, and those of search attributes that a namespace
// has. The schema has one for every column that an attribute could ever take, 58 in all, and each
// start, upsert and close of a workflow writes every one of them. An attribute that is registered
// later gets its index when the server starts the next time.
func (s *store) indexWhatIsUsed(ctx context.Context, logger log.Logger) error {
	used, err := s.searchAttributeColumns(ctx, logger)
	if err != nil {
		return err
	}
	statements := make([]string, 0, len(seldomUsed))
	for _, name := range seldomUsed {
		statements = append(statements, "DROP INDEX IF EXISTS "+name)
	}
	for column, kind := range sadefs.GetDBIndexSearchAttributes(nil).CustomSearchAttributes {
		switch {
		case kind == enumspb.INDEXED_VALUE_TYPE_TEXT || kind == enumspb.INDEXED_VALUE_TYPE_KEYWORD_LIST:
			// Full-text tables hold these.
		case used[column]:
			statements = append(statements, fmt.Sprintf(
				`CREATE INDEX IF NOT EXISTS %s ON executions_visibility (namespace_id, %s, `+
					`(COALESCE(close_time, '9999-12-31 23:59:59+00:00')) DESC, start_time DESC, run_id)`,
				indexOf(column), column,
			))
		default:
			statements = append(statements, "DROP INDEX IF EXISTS "+indexOf(column))
		}
	}
	db, err := sql.NewSQLAdminDB(sqlplugin.DbKindVisibility, &s.sql, resolver.NewNoopResolver(), logger, metrics.NoopMetricsHandler)
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if err := db.Exec(statement); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", statement, err), db.Close())
		}
	}
	return db.Close()
}

// searchAttributeColumns are the columns that search attributes of any namespace are kept in.
func (s *store) searchAttributeColumns(ctx context.Context, logger log.Logger) (map[string]bool, error) {
	manager, err := s.namespaces(logger)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	request := &persistence.ListNamespacesRequest{PageSize: 100}
	for {
		page, err := manager.ListNamespaces(ctx, request)
		if err != nil {
			return nil, err
		}
		for _, namespace := range page.Namespaces {
			for column := range namespace.Namespace.GetConfig().GetCustomSearchAttributeAliases() {
				used[column] = true
			}
		}
		if len(page.NextPageToken) == 0 {
			return used, nil
		}
		request.NextPageToken = page.NextPageToken
	}
}

var trailingDigits = regexp.MustCompile(`\d+$`)

// indexOf is the schema's name for the index of a column: by_keyword_01 for Keyword01.
func indexOf(column string) string {
	return "by_" + trailingDigits.ReplaceAllString(strings.ToLower(column), "_$0")
}
