import { useEffect, useState } from 'react';
import { call, Product } from '../api';
import { ProductRow } from '../ProductRow';
import { useSession } from '../session';
import { useLoad } from '../useLoad';

const PAGE_SIZE = 100;

function preload(src: string) {
  return new Promise<void>((done) => {
    const image = new Image();
    image.onload = () => done();
    image.onerror = () => done();
    image.src = src;
  });
}

export function ProductsPage() {
  const { token } = useSession();
  const [page, setPage] = useState(1);
  const [ready, setReady] = useState<string[]>([]);
  const [notice, setNotice] = useState<string | null>(null);
  const { data, error } = useLoad<{ items: Product[] }>(`/api/products?page=${page}&size=${PAGE_SIZE}`, token);

  useEffect(() => {
    let current = true;
    async function reveal(items: Product[]) {
      for (const product of items) {
        await preload(product.image);
        if (!current) return;
        setReady((ids) => [...ids, product.id]);
      }
    }
    setReady([]);
    reveal(data?.items ?? []);
    return () => {
      current = false;
    };
  }, [data]);

  async function buy(product: Product) {
    setNotice(null);
    try {
      const order = await call<{ id: string }>('POST', '/api/orders', token, {
        productId: product.id,
        quantity: 1,
        paymentMethod: 'pm_card_visa',
      });
      setNotice(`Order ${order.id} is placed.`);
    } catch (err) {
      setNotice(`${product.name} could not be ordered: ${(err as Error).message}`);
    }
  }

  if (error) {
    return <p role="alert">{error}</p>;
  }
  if (!data) {
    return <p aria-busy="true">Loading…</p>;
  }
  return (
    <section>
      <h1>Products</h1>
      {notice && <p role="status">{notice}</p>}
      <ul className="products">
        {data.items.map((product) => (
          <ProductRow
            key={product.id}
            product={product}
            visible={ready.includes(product.id)}
            onBuy={token ? () => buy(product) : undefined}
          />
        ))}
      </ul>
      <p className="pager">
        <button onClick={() => setPage(page - 1)} disabled={page === 1}>Back</button>
        <span>Page {page}</span>
        <button onClick={() => setPage(page + 1)} disabled={data.items.length < PAGE_SIZE}>Next</button>
      </p>
    </section>
  );
}
