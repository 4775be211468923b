import { Product } from './api';
import { price } from './format';

interface Props {
  product: Product;
  visible: boolean;
  onBuy?: () => void;
}

export function ProductRow({ product, visible, onBuy }: Props) {
  return (
    <li className="card">
      <img src={product.image} alt="" width="64" height="64" className={visible ? 'shown' : 'hidden'} />
      <div>
        <h2>{product.name}</h2>
        <p>{product.description}</p>
      </div>
      <strong>{price(product.priceCents)}</strong>
      <button onClick={onBuy} disabled={!onBuy || product.stock === 0}>
        {product.stock === 0 ? 'Sold out' : 'Buy'}
      </button>
    </li>
  );
}
