import { Navigate, NavLink, Route, Routes } from 'react-router-dom';
import { Bell } from './Bell';
import { AccountPage } from './pages/AccountPage';
import { LoginPage } from './pages/LoginPage';
import { OrdersPage } from './pages/OrdersPage';
import { ProductsPage } from './pages/ProductsPage';
import { useSession } from './session';

export function App() {
  const { token, signOut } = useSession();
  return (
    <>
      <header>
        <NavLink to="/products" className="brand">Shop</NavLink>
        <nav>
          <NavLink to="/products">Products</NavLink>
          <NavLink to="/orders">Orders</NavLink>
          <NavLink to="/account">Account</NavLink>
        </nav>
        <Bell />
        {token ? <button onClick={signOut}>Sign out</button> : <NavLink to="/login">Sign in</NavLink>}
      </header>
      <main>
        <Routes>
          <Route path="/login" element={<LoginPage />} />
          <Route path="/products" element={<ProductsPage />} />
          <Route path="/orders" element={token ? <OrdersPage /> : <Navigate to="/login" />} />
          <Route path="/account" element={token ? <AccountPage /> : <Navigate to="/login" />} />
          <Route path="*" element={<Navigate to="/products" replace />} />
        </Routes>
      </main>
    </>
  );
}
