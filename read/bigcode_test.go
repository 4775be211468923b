package read

import (
	"fmt"
	"strings"
)

// What the files of a bigTree say. Each text has the idioms of its kind, so that
// readers find as much in it as in code that a person wrote.

func (b *bigTree) route(n int) string {
	var s strings.Builder
	fmt.Fprintf(&s, "import { Router, Request, Response } from 'express';\nimport { pool } from '../../index';\nimport { load%[1]s } from '../../logic/%[2]s/%[3]s%[4]d';\n\nconst router = Router();\n", title(b.word(n)), b.word(n/8), b.word(n), n)
	for k := range b.lines() {
		w, col := b.pick(), b.pick()
		fmt.Fprintf(&s, `
/** Answers with the %[1]ss of a customer. */
router.get('/%[1]s/:id', async (req: Request, res: Response) => {
  const { id } = req.params;
  const limit = Number(req.query.limit ?? 50);
  try {
    const { rows } = await pool.query('SELECT id, %[2]s FROM %[1]ss WHERE id = $1 LIMIT $2', [id, limit]);
    if (rows.length === 0) {
      return res.status(404).json({ error: 'no such %[1]s' });
    }
    const shaped = rows.map((row) => ({ ...row, label: `+"`${row.id}-%[3]d`"+` }));
    return res.json({ data: shaped, total: shaped.length });
  } catch (err) {
    console.error('%[1]s failed', err);
    return res.status(500).json({ error: 'internal' });
  }
});
`, w, col, k)
	}
	s.WriteString("\nexport default router;\n")
	return s.String()
}

func (b *bigTree) logic(n int) string {
	var s strings.Builder
	fmt.Fprintf(&s, "import { z } from 'zod';\nimport type { Money } from '../types';\n\nconst limit = 20;\n\nexport async function load%s(id: string) {\n  return { id, limit };\n}\n", title(b.word(n)))
	for k := range b.lines() {
		w := b.pick()
		fmt.Fprintf(&s, `
export interface %[1]s%[3]d {
  id: string;
  total: Money;
  items: Array<{ sku: string; count: number }>;
}

// Sums the %[2]s without rounding twice: cents are integers until the end.
export function sum%[1]s%[3]d(list: %[1]s%[3]d[], rate = 0.19): number {
  let cents = 0;
  for (const entry of list) {
    if (!entry.items.length || entry.total.currency !== 'EUR') continue;
    cents += entry.items.reduce((acc, it) => acc + it.count * 100, 0);
  }
  const taxed = Math.round(cents * (1 + rate));
  switch (taxed %% 3) {
    case 0: return taxed;
    case 1: return taxed - (taxed > 10 ? 1 : 0);
    default: return /^\d+$/.test(String(taxed)) ? taxed : 0;
  }
}
`, title(w), w, k)
	}
	if n%9 == 0 {
		fmt.Fprintf(&s, "\nexport const %sUrl = process.env.%s_URL || 'http://localhost:4000';\nexport const fetchIt = () => fetch(%sUrl + '/v1', { headers: { a: 'b' } });\n", b.word(n), strings.ToUpper(b.word(n)), b.word(n))
	}
	return s.String()
}

func (b *bigTree) model(n int) string {
	w := b.word(n)
	var s strings.Builder
	fmt.Fprintf(&s, "import { DataTypes, Model, Sequelize } from 'sequelize';\n\nconst sequelize = new Sequelize(process.env.DATABASE_URL as string, { pool: { max: 5 } });\n\nexport class %s extends Model {\n  declare id: number;\n", title(w))
	for k := range b.lines() {
		fmt.Fprintf(&s, "\n  static async by%[1]s%[2]d(value: string) {\n    return this.findAll({ where: { %[3]s: value }, order: [['createdAt', 'DESC']], limit: 20 });\n  }\n", title(b.pick()), k, b.pick())
	}
	fmt.Fprintf(&s, "}\n\n%s.init({\n  id: { type: DataTypes.INTEGER, primaryKey: true },\n  name: { type: DataTypes.STRING, allowNull: false },\n}, { sequelize, tableName: '%ss' });\n", title(w), w)
	return s.String()
}

func (b *bigTree) component(n int) string {
	var s strings.Builder
	fmt.Fprintf(&s, "import React, { useEffect, useMemo, useState } from 'react';\nimport styled from 'styled-components';\nimport { useStore } from '../../hooks/useStore';\nimport { Button, Flex, Text } from '../ui';\n\ntype Props = { id: string; onClose?: () => void; title: string };\n\nconst Box = styled.div`\n  padding: ${(p) => p.theme.space}px;\n  color: #111;\n`;\n")
	for k := range b.lines() {
		w := b.pick()
		fmt.Fprintf(&s, `
export const %[1]s%[3]d: React.FC<Props> = ({ id, title, onClose }) => {
  const { %[2]s } = useStore();
  const [open, setOpen] = useState(false);
  const rows = useMemo(() => %[2]s.filter((x) => x.parent === id && !x.deletedAt), [%[2]s, id]);
  useEffect(() => {
    if (!open) return;
    const stop = %[2]s.subscribe(() => setOpen(false));
    return () => stop();
  }, [open]);
  return (
    <Box className="%[2]s-box" onClick={() => setOpen(!open)}>
      <Flex align="center" gap={8}>
        <Text weight="bold">{title}</Text>
        {rows.length > 0 ? (
          <ul>
            {rows.map((row) => (
              <li key={row.id} data-kind="%[2]s">
                It's {row.name} &amp; {row.count} more
              </li>
            ))}
          </ul>
        ) : (
          <Text>Nothing here yet, don't worry.</Text>
        )}
        <Button onClick={onClose} disabled={!open}>Close</Button>
      </Flex>
    </Box>
  );
};
`, title(w), w, k)
	}
	return s.String()
}

func (b *bigTree) golang(n int) string {
	var s strings.Builder
	fmt.Fprintf(&s, "package %s\n\nimport (\n\t\"context\"\n\t\"fmt\"\n\t\"os\"\n)\n\nvar mode%d = os.Getenv(\"MODE\")\n", b.word(n/12), n)
	for k := range b.lines() {
		w := title(b.pick())
		fmt.Fprintf(&s, `
// %[1]s%[2]d%[3]d holds what one request needs.
type %[1]s%[2]d%[3]d struct {
	ID    string
	Count int
	Tags  map[string]string
}

// Load fills it, or says why not.
func (v *%[1]s%[2]d%[3]d) Load(ctx context.Context, id string) error {
	if id == "" {
		return fmt.Errorf("load: no id")
	}
	for i := 0; i < v.Count; i++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		default:
			v.Tags[fmt.Sprint(i)] = id
		}
	}
	return nil
}
`, w, n, k)
	}
	return s.String()
}

func (b *bigTree) python(n int) string {
	var s strings.Builder
	s.WriteString("import os\nfrom django.db import models\n\nDEBUG = os.environ.get('DEBUG', 'false') == 'true'\n")
	for k := range b.lines() {
		w := title(b.pick())
		fmt.Fprintf(&s, `

class %[1]s%[2]d%[3]d(models.Model):
    """What a customer has of it."""

    name = models.CharField(max_length=200, db_index=True)
    owner = models.ForeignKey('User', on_delete=models.CASCADE)

    def total(self, rate=0.19):
        amount = 0
        for line in self.lines.all():
            if line.kind != 'free':
                amount += line.price * (1 + rate)
        return {'total': round(amount, 2), 'name': f"{self.name}-{rate}"}
`, w, n, k)
	}
	return s.String()
}

func (b *bigTree) ruby(n int) string {
	var s strings.Builder
	fmt.Fprintf(&s, "class %s%d < ApplicationRecord\n  belongs_to :account\n  validates :name, presence: true\n", title(b.word(n)), n)
	for k := range b.lines() {
		fmt.Fprintf(&s, "\n  def %s_%d(limit = 10)\n    return [] if name.blank?\n    self.class.where(account_id: account_id).order(:created_at).limit(limit).map do |row|\n      \"#{row.id}-#{ENV.fetch('REGION', 'eu')}\"\n    end\n  end\n", b.pick(), k)
	}
	s.WriteString("end\n")
	return s.String()
}

func (b *bigTree) java(n int) string {
	var s strings.Builder
	fmt.Fprintf(&s, "package com.example.%s;\n\nimport java.util.List;\nimport org.springframework.stereotype.Service;\n\n@Service\npublic class %s%d {\n", b.word(n/9), title(b.word(n)), n)
	for k := range b.lines() {
		fmt.Fprintf(&s, "\n    /** Counts what is due. */\n    public long %s%d(List<Item> items) {\n        long due = 0;\n        for (Item item : items) {\n            if (item.isOpen() && item.amount() > 0) {\n                due += item.amount();\n            }\n        }\n        return due;\n    }\n", b.pick(), k)
	}
	s.WriteString("}\n")
	return s.String()
}

func (b *bigTree) migration(service, n int) string {
	table := fmt.Sprintf("%s_%d_%ss", b.word(service), service, b.word(n))
	return fmt.Sprintf("CREATE TABLE %[1]s (\n  id bigserial PRIMARY KEY,\n  owner_id bigint NOT NULL,\n  name text NOT NULL,\n  amount numeric(12, 2) DEFAULT 0,\n  created_at timestamptz NOT NULL DEFAULT now()\n);\n\nCREATE INDEX %[1]s_owner ON %[1]s (owner_id);\n", table)
}
