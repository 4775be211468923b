package main

import "github.com/premortem/premortem"

// prophecies are what forecast may find.
var prophecies = []struct {
	name string
	doc  premortem.Doc
}{
	{ruleGrows, premortem.Doc{
		Title: "a statement's work grows with the table",
		Why:   "It is fast today because the table is small. At ten times the rows it takes about ten times as long, and each call holds a connection for so long.",
		When: `The planner's work for the statement, from 1× to the last multiple, grows at least with the power 0.7 of
the rows. A scan that the planner hopes to leave early under a LIMIT counts in full when no statistics stand behind
the hope. It is slow when few of the rows that are read are wanted, or when an index that was tried in the ghost
brings the cost below 40 %; else a note.`,
		Silent: "The statement finds its rows by an index whose depth alone grows; the tables have fewer than 1,000 rows or are named by --still.",
		Fix:    "Create the index that is named: of those tried it is the smallest that is about as good as the best. Without one, read fewer rows.",
	}},
	{rulePlan, premortem.Doc{
		Title:  "a plan changes as the tables grow",
		Why:    "PostgreSQL chooses plans by size. A statement that was measured with one plan runs with another later.",
		When:   "The plan becomes another one between two sizes, stays another at the next size, and, where the tables can grow in breadth or in depth, changes within one size under both.",
		Silent: "The plan becomes cheaper, or the statement is told as one whose work grows.",
		Fix:    "A change is no fault by itself: measure both sizes with premortem rehearse --x rows.",
	}},
	{ruleSpills, premortem.Doc{
		Title:  "a sort or a hash no longer fits its memory",
		Why:    "What does not fit work_mem is written to disk and read again.",
		When:   "By the planner's own arithmetic an operation first needs more than work_mem, times hash_mem_multiplier for hashes, at a size within the horizon.",
		Silent: "It goes to disk today already, or only a LIMIT's rows are kept.",
		Fix:    "Create the index that delivers the order, or raise work_mem for this statement.",
	}},
	{ruleTrap, premortem.Doc{
		Title: "the plan for any value is wrong for a common one",
		Why: `After five executions PostgreSQL keeps one plan for a prepared statement if it looks
cheaper than those made for each value. Where values are unevenly spread, it is made for the average and meets the
common value with too few rows in mind.`,
		When: `With a value out of the statistics another plan is chosen, the plan for any value costs less by its own
estimate, and ten times as many rows pass as it expects, 1,000 or more, at 1× or at the last multiple.`,
		Silent: "The values are evenly spread, both are one plan, or a parameter is compared with something that is no column.",
		Fix:    "Set plan_cache_mode = force_custom_plan for the role or the transaction, or send this statement unprepared.",
	}},
	{ruleSlots, premortem.Doc{
		Title:  "connections end when replicas are added",
		Why:    "Each replica brings a pool of its own, and the database accepts a fixed number of connections.",
		When:   "Pool size, processes, replicas and the database's limit are known, the sum fits today, and at a multiple within the horizon it does not.",
		Silent: "A factor is not known, a pooler takes as many, or the sum is too large today, which pool-exceeds-database tells.",
		Fix:    "Make each pool smaller as replicas are added, or put a pooler in front of the database.",
	}},
	{ruleKeys, premortem.Doc{
		Title:  "a key is too narrow for the rows to come",
		Why:    "When the number is used up each insert fails, and changing the type rewrites the table while nobody can write.",
		When:   "A smallint or integer column that numbers rows, or holds the keys of a table that grows, ends within the horizon.",
		Silent: "The table does not grow, or the key is bigint or uuid.",
		Fix:    "Move the column to bigint while the table is small.",
	}},
	{ruleSequences, premortem.Doc{
		Title:  "a sequence ends",
		Why:    "nextval fails, and with it each insert.",
		When:   "A profile shows how far a sequence has come, and as many times that end it within the horizon.",
		Silent: "The sequence cycles, is a bigint's, or no profile was given.",
		Fix:    "Move the column and its sequence to bigint.",
	}},
	{ruleWraps, premortem.Doc{
		Title:  "old transactions are not frozen",
		Why:    "Three million transactions before 2^31 the server refuses writes until a VACUUM has run.",
		When:   "A profile shows an age of 1.5 times autovacuum_freeze_max_age or more.",
		Silent: "Autovacuum keeps up, or no profile was given.",
		Fix:    "Find the long transaction, replication slot or prepared transaction that holds it back, then VACUUM (FREEZE).",
	}},
	{ruleDisk, premortem.Doc{
		Title:  "the disk is full",
		Why:    "A full disk stops every write.",
		When:   "--disk is given, and tables and indexes reach it within the horizon.",
		Silent: "Bloat, log and temporary files are not counted: it is full earlier.",
		Fix:    "Grow the disk in time, or move old rows away.",
	}},
}
