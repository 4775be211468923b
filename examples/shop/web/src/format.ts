const euro = new Intl.NumberFormat('en-IE', { style: 'currency', currency: 'EUR' });

export function price(cents: number) {
  return euro.format(cents / 100);
}

export function day(iso: string) {
  return new Date(iso).toLocaleDateString('en-IE', { day: 'numeric', month: 'short', year: 'numeric' });
}
